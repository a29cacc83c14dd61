//! What a network looks at: a linear one at nothing but the targets' own past.

use dataset::{SeriesDataConfig, SeriesFeaturesConfig};
use modeling::ForecasterConfig;

use crate::console::Console;

/// Says so if the config gives inputs that the network does not use.
pub fn warn_of_unused(
    model: &ForecasterConfig,
    data: &SeriesDataConfig,
    features: &SeriesFeaturesConfig,
    console: &Console,
) {
    let has_columns = !data.past_covariates.is_empty() || !data.future_covariates.is_empty() || data.holiday.is_some();
    let has_made = features.calendar.as_ref().is_some_and(|calendar| !calendar.is_empty())
        || !(features.lags.is_empty() && features.differences.is_empty() && features.rolling.windows.is_empty());
    if !model.uses_covariates() && (has_columns || has_made) {
        console.warn(&format!(
            "`model.kind: {}` looks at the past of the targets only, not at covariates, holidays and `features`; `mlp`, \
             `tide` and `tsmixer` do",
            model.kind.name()
        ));
    }
}

/// Without what the network would not look at: it would cost windows and time.
pub fn used_features(model: &ForecasterConfig, features: &SeriesFeaturesConfig) -> SeriesFeaturesConfig {
    if model.uses_covariates() {
        return features.clone();
    }
    let none = SeriesFeaturesConfig::default();
    SeriesFeaturesConfig {
        calendar: Some(Vec::new()),
        lags: none.lags,
        differences: none.differences,
        rolling: none.rolling,
        ..features.clone()
    }
}
