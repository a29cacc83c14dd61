use super::*;

fn shape() -> ForecastShape {
    ForecastShape { n_targets: 3, n_past: 2, n_future: 4, lookback: 12, horizon: 5 }
}

#[test]
fn summary_counts_what_init_makes() {
    for kind in ForecasterKind::ALL {
        for quantiles in [vec![], vec![0.1, 0.5, 0.9]] {
            let config = ForecasterConfig {
                kind,
                quantiles,
                hidden_dims: vec![8, 7],
                skip_connection: true,
                ..Default::default()
            };
            let model = config.init(&shape(), &Device::flex());
            let counted: usize = summarize_forecaster(&config, &shape()).iter().map(|layer| layer.parameters).sum();
            assert_eq!(model.num_params(), counted, "{config:?}");
        }
    }
}
