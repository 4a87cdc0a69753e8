"""Mean field: what a deep, wide, plain network does to the size of signals, to their correlations, and to gradients.

    penstock.meanfield.trainable_depth("gelu", start="torch")      # how deep it can be with this start
    penstock.meanfield.mean_field("tanh", weight_std=1.3, bias_std=0.2)      # q*, c*, chi_1, depth scales
    penstock.meanfield.edge_of_chaos("silu", bias_std=0.2)         # the weights with chi_1 = 1
    penstock.meanfield.kernel_shape("gelu", plain_stack(40))       # deep kernel shaping: alpha, beta, gamma, delta

An activation is a name, or any function of NumPy arrays or of a framework's tensors.
"""

from __future__ import annotations

from penstock.meanfield.depth import TrainableDepth, trainable_depth
from penstock.meanfield.edge import EdgePoint, edge_of_chaos, half_stable_point
from penstock.meanfield.field import MeanField, mean_field
from penstock.meanfield.kernel import Kernel, correlation_map, covariance, kernel_of
from penstock.meanfield.networks import local_curvature, local_slope, plain_stack, residual_stack
from penstock.meanfield.overview import Overview, overview
from penstock.meanfield.shaping import LeakyShape, Shape, kernel_shape, leaky_kernel_shape, shape, shape_at
from penstock.meanfield.tailored import Tailored, leaky_correlation, tailored_leaky, tailored_shape

__all__ = [
    "EdgePoint",
    "Kernel",
    "LeakyShape",
    "MeanField",
    "Overview",
    "Shape",
    "Tailored",
    "TrainableDepth",
    "correlation_map",
    "covariance",
    "edge_of_chaos",
    "half_stable_point",
    "kernel_of",
    "kernel_shape",
    "leaky_correlation",
    "leaky_kernel_shape",
    "local_curvature",
    "local_slope",
    "mean_field",
    "overview",
    "plain_stack",
    "residual_stack",
    "shape",
    "shape_at",
    "tailored_leaky",
    "tailored_shape",
    "trainable_depth",
]
