"""Forecasts, losses and gradients of every network, written down once more in PyTorch, in double precision.

python golden.py > golden.json        (PyTorch 2.15)

Weights and inputs come from a formula, `made_up`, so that only results stand in the file. Parameters are asked for in the order in
which the Rust structs hold them; a linear layer's weight is [inputs, outputs].
"""

import json

import torch
import torch.nn.functional as F

B, T, L, H = 2, 3, 10, 4
EPSILON = 1e-5
ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh, "gelu": F.gelu}
DEFAULTS = {
    "kind": "mlp", "instance_norm": "auto", "revin_affine": True, "hidden_dims": [6, 5], "norm": "none", "skip_connection": False,
    "covariate_lookback": False, "activation": "relu", "dropout": 0.0, "mix_channels": False, "individual": False,
    "moving_average": 5, "hidden_size": 6, "encoder_layers": 2, "decoder_layers": 2, "decoder_size": 3, "temporal_hidden": 5,
    "covariate_size": 2, "blocks": 2, "feed_forward_size": 5, "quantiles": [], "loss": "mse", "huber_delta": 1.0,
}


def made_up(key, shape):
    n = torch.Size(shape).numel()
    i = torch.arange(n, dtype=torch.int64)
    values = ((i * 7919 + key * 104729 + 13) % 1009).double() / 1009 - 0.5
    return values.reshape(shape)


class Case:
    def __init__(self, n_past, n_future, **config):
        self.given = config
        self.__dict__.update({**DEFAULTS, **config})
        self.n_past, self.n_future = n_past, n_future
        self.parameters = []
        self.act = ACTIVATIONS[self.activation]
        self.q = max(1, len(self.quantiles))

    def parameter(self, *shape):
        """Weights around 0; vectors around 0.75, so that no factor is near 0."""
        value = made_up(len(self.parameters), shape) + (0.75 if len(shape) == 1 else 0.0)
        self.parameters.append(value.requires_grad_())
        return value

    def linear(self, inputs, outputs, bias=True):
        weight = self.parameter(inputs, outputs)
        shift = self.parameter(outputs) if bias else 0.0
        return lambda x: x @ weight + shift

    def layer_norm(self, width):
        gamma, beta = self.parameter(width), self.parameter(width)
        return lambda x: F.layer_norm(x, (width,), gamma, beta)

    # networks: [B, T, L] (after the instance norm) -> [B, T, Q, H]

    def linear_net(self):
        channels = T if self.mix_channels else 1
        inputs, outputs = channels * L, channels * H * self.q

        def one_map():
            if self.individual:
                weight, bias = self.parameter(T, L, H * self.q), self.parameter(T, H * self.q)
                return lambda x: torch.einsum("btl,tlo->bto", x, weight) + bias
            layer = self.linear(inputs, outputs)
            return lambda x: layer(x.reshape(B, -1, inputs))

        first = one_map()
        trend_map = one_map() if self.kind == "dlinear" else None

        def forward(x, past, future):
            if trend_map is None:
                return first(x).reshape(B, T, self.q, H)
            beyond = self.moving_average // 2
            padded = torch.cat([x[..., :1].repeat(1, 1, beyond), x, x[..., -1:].repeat(1, 1, beyond)], 2)
            trend = padded.unfold(2, self.moving_average, 1).mean(3)
            return (first(x - trend) + trend_map(trend)).reshape(B, T, self.q, H)

        return forward

    def mlp(self):
        channels = T if self.mix_channels else 1
        inputs, outputs = channels * L, channels * H * self.q
        width, layers = inputs, []
        for hidden in self.hidden_dims:
            layers.append((self.linear(width, hidden), self.layer_norm(hidden) if self.norm == "layer" else lambda x: x))
            width = hidden
        head = self.linear(width, outputs)
        n_covariates = self.n_past * L + self.n_future * (H + (L if self.covariate_lookback else 0))
        first = self.hidden_dims[0] if self.hidden_dims else outputs
        beside = self.linear(n_covariates, first, bias=False) if n_covariates else None
        skip = self.linear(inputs, outputs) if self.skip_connection else None

        def forward(x, past, future):
            x = start = x.reshape(B, -1, inputs)
            extra = 0.0
            if beside is not None:
                known = future if self.covariate_lookback else future[..., L:]
                extra = beside(torch.cat([past.reshape(B, -1), known.reshape(B, -1)], 1)).unsqueeze(1)
            for index, (layer, norm) in enumerate(layers):
                x = self.act(norm(layer(x) + (extra if index == 0 else 0.0)))
            x = head(x) + (0.0 if layers else extra)
            if skip is not None:
                x = x + skip(start)
            return x.reshape(B, T, self.q, H)

        return forward

    def residual(self, inputs, hidden, outputs, has_norm=True):
        a, b, skip = self.linear(inputs, hidden), self.linear(hidden, outputs), self.linear(inputs, outputs)
        norm = self.layer_norm(outputs) if has_norm else lambda x: x
        return lambda x: norm(b(self.act(a(x))) + skip(x))

    def tide(self):
        c, hidden = self.covariate_size, self.hidden_size
        project_past = self.residual(self.n_past, self.temporal_hidden, c) if self.n_past else None
        project_future = self.residual(self.n_future, self.temporal_hidden, c) if self.n_future else None
        width = L + (c * L if self.n_past else 0) + (c * (L + H) if self.n_future else 0)
        blocks = [self.residual(width if i == 0 else hidden, hidden, hidden) for i in range(self.encoder_layers)]
        for i in range(self.decoder_layers):
            blocks.append(self.residual(hidden, hidden, self.decoder_size * H if i == self.decoder_layers - 1 else hidden))
        temporal = self.residual(
            self.decoder_size + (c if self.n_future else 0), self.temporal_hidden, self.q, has_norm=False
        )
        skip = self.linear(L, H * self.q)

        def forward(x, past, future):
            parts, known = [x], None
            if project_past:
                parts.append(project_past(past.transpose(1, 2)).reshape(B, 1, -1).expand(B, T, -1))
            if project_future:
                known = project_future(future.transpose(1, 2))
                parts.append(known.reshape(B, 1, -1).expand(B, T, -1))
            y = torch.cat(parts, 2)
            for block in blocks:
                y = block(y)
            y = y.reshape(B, T, H, self.decoder_size)
            if known is not None:
                y = torch.cat([y, known[:, None, L:].expand(B, T, H, c)], 3)
            return temporal(y).transpose(2, 3) + skip(x).reshape(B, T, self.q, H)

        return forward

    def tsmixer(self):
        channels = T + self.n_past + self.n_future
        blocks = []
        for _ in range(self.blocks):
            time_norm, time = self.layer_norm(channels * L), self.linear(L, L)
            feature_norm = self.layer_norm(channels * L)
            blocks.append((time_norm, time, feature_norm, self.linear(channels, self.feed_forward_size),
                           self.linear(self.feed_forward_size, channels)))
        projection = self.linear(L, H * self.q)
        if self.n_future:
            a = self.linear(T * self.q + self.n_future, self.feed_forward_size)
            b = self.linear(self.feed_forward_size, T * self.q)

        def forward(x, past, future):
            x = torch.cat([x, past, future[..., :L]], 1)
            for time_norm, time, feature_norm, up, down in blocks:
                x = x + self.act(time(time_norm(x.reshape(B, -1)).reshape(x.shape)))
                z = feature_norm(x.reshape(B, -1)).reshape(x.shape).transpose(1, 2)
                x = x + down(self.act(up(z))).transpose(1, 2)
            out = projection(x[:, :T]).reshape(B, T * self.q, H)
            if self.n_future:
                z = torch.cat([out, future[..., L:]], 1).transpose(1, 2)
                out = out + b(self.act(a(z))).transpose(1, 2)
            return out.reshape(B, T, self.q, H)

        return forward

    def forecast(self, x, past, future):
        centre = self.instance_norm
        if centre == "auto":
            centre = {"linear": "none", "dlinear": "none", "nlinear": "subtract_last"}.get(self.kind, "revin")
        affine = (self.parameter(T), self.parameter(T)) if centre == "revin" and self.revin_affine else None
        net = {"mlp": self.mlp, "tide": self.tide, "tsmixer": self.tsmixer}.get(self.kind, self.linear_net)()
        if centre == "none":
            return net(x, past, future)
        if centre == "subtract_last":
            shift, factor = x[..., -1:], torch.ones(B, T, 1, dtype=torch.double)
        else:
            shift = x.mean(2, keepdim=True).detach()
            factor = torch.sqrt(x.var(2, keepdim=True, unbiased=False) + EPSILON).detach()
        x = (x - shift) / factor
        if affine:
            x = x * affine[0][:, None] + affine[1][:, None]
        y = net(x, past, future)
        if affine:
            y = (y - affine[1][:, None, None]) / (affine[0][:, None, None] + EPSILON**2)
        return y * factor[..., None] + shift[..., None]

    def loss_of(self, forecast, target):
        """forecast [B, T, Q, H], target [B, T, H]"""
        if self.quantiles:
            levels = torch.tensor(self.quantiles, dtype=torch.double)[:, None]
            error = target[:, :, None] - forecast
            return torch.maximum(levels * error, (levels - 1) * error).mean()
        function = {"mse": torch.nn.MSELoss(), "mae": torch.nn.L1Loss(), "huber": torch.nn.HuberLoss(delta=self.huber_delta)}
        return function[self.loss](forecast[:, :, 0], target)

    def run(self):
        x = made_up(1000, (B, T, L)) * 3 + made_up(1001, (B, T, 1)) * 4
        past, future = made_up(1002, (B, self.n_past, L)), made_up(1003, (B, self.n_future, L + H))
        target = made_up(1004, (B, T, H)) * 4
        forecast = self.forecast(x, past, future)
        loss = self.loss_of(forecast, target)
        loss.backward()
        gradients = []
        for index, value in enumerate(self.parameters):
            weights = made_up(2000 + index, value.shape)
            gradients.append([(value.grad * weights).sum().item(), value.grad.square().sum().item()])
        return {
            "config": {**DEFAULTS, **self.given}, "n_past": self.n_past, "n_future": self.n_future,
            "forecast": forecast.flatten().tolist(), "loss": loss.item(), "gradients": gradients,
        }


QUANTILES = [0.1, 0.5, 0.8]
CASES = [
    Case(0, 0, kind="linear"),
    Case(2, 2, kind="linear", mix_channels=True, loss="mae"),
    Case(0, 0, kind="linear", individual=True, quantiles=QUANTILES),
    Case(0, 0, kind="nlinear", loss="huber", huber_delta=0.7),
    Case(0, 0, kind="nlinear", individual=True),
    Case(0, 0, kind="dlinear"),
    Case(0, 0, kind="dlinear", individual=True, moving_average=25),
    Case(0, 0, kind="dlinear", mix_channels=True, moving_average=1),
    Case(0, 0, kind="dlinear", instance_norm="revin"),
    Case(0, 0, kind="rlinear"),
    Case(0, 0, kind="rlinear", revin_affine=False, quantiles=QUANTILES),
    Case(0, 0, kind="rlinear", mix_channels=True),
    Case(0, 0, kind="mlp"),
    Case(2, 0, kind="mlp", activation="gelu", loss="mae"),
    Case(2, 3, kind="mlp", activation="tanh", quantiles=QUANTILES),
    Case(2, 3, kind="mlp", covariate_lookback=True, skip_connection=True, norm="layer"),
    Case(2, 3, kind="mlp", mix_channels=True, skip_connection=True),
    Case(0, 3, kind="mlp", hidden_dims=[], instance_norm="subtract_last"),
    Case(0, 3, kind="mlp", instance_norm="none", loss="huber"),
    Case(0, 0, kind="tide"),
    Case(2, 3, kind="tide", quantiles=QUANTILES, activation="tanh"),
    Case(0, 0, kind="tsmixer", activation="gelu"),
    Case(2, 3, kind="tsmixer", quantiles=QUANTILES),
]

print("[")
print(",\n".join(json.dumps(case.run()) for case in CASES))
print("]")
