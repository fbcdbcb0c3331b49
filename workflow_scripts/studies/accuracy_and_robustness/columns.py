"""Columns of the tables of accuracy and robustness, for those who make and who read them."""

from __future__ import annotations

WAY = ("target", "mode", "solver", "selection")  # what is transferred to, and how
LEVEL = ("source_training", "source_norm", "source_epsilon")
POINT_COLUMNS = (
    *("study", *WAY, "source_model", *LEVEL, "source_accuracy", "source_robustness"),
    *("accuracy", "accuracy_min", "accuracy_max", "n_seeds"),
)
CORRELATION_COLUMNS = (
    *("study", *WAY, *LEVEL, "r_squared", "r_squared_low", "r_squared_high"),
    *("pearson", "pearson_low", "pearson_high", "p_value", "n_models", "n_rows"),
)
PREDICTOR_COLUMNS = (
    *("study", *WAY, "norm", "predictor", "absolute_error", "root_mean_square_error"),
    *("gain", "gain_low", "gain_high", "r_squared_left_out", "r_squared_in_sample"),
    *("n_models", "n_points"),
)
WIDTH_COLUMNS = (
    *("study", *WAY, *LEVEL, "quantity", "width", "from_width", "value", "ci_low", "ci_high"),
    "n_seeds",
)
BASELINE = "accuracy"  # the predictor that others are compared with
