"""What PyTorch's operations mean, by their ATen name without overload and without the trailing underscore.

An operation that stands in no table is kind "other": it is passed through and listed.
"""

from __future__ import annotations

# The same values in another shape or type: no node of their own, the signal keeps its number.
ALIAS = frozenset(
    "view reshape _unsafe_view _reshape_alias t transpose permute numpy_T unsqueeze squeeze expand expand_as "
    "contiguous clone detach alias _to_copy to lift_fresh lift_fresh_copy flatten unflatten view_as_real "
    "view_as_complex type_as swapaxes movedim _conj conj resolve_conj view_copy expand_copy".split()
)

# A part of a signal, or several signals side by side: each result is a "move".
MOVE = frozenset(
    "slice select narrow split split_with_sizes chunk unbind cat stack concat constant_pad_nd pad "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d roll flip gather index index_select "
    "take_along_dim masked_select masked_fill scatter scatter_add index_put index_add index_copy repeat "
    "repeat_interleave tile unfold as_strided pixel_shuffle pixel_unshuffle native_dropout dropout tril triu "
    "where sort topk diagonal upsample_nearest1d upsample_nearest2d upsample_bilinear2d im2col col2im rot90 "
    "channel_shuffle select_scatter slice_scatter copy slice_copy embedding_renorm cumsum rename".split()
)

# One scalar function, element by element; with one signal operand they join its pointwise region.
POINTWISE = frozenset(
    "relu relu6 leaky_relu prelu _prelu_kernel elu selu celu gelu silu mish softplus sigmoid log_sigmoid "
    "log_sigmoid_forward tanh hardtanh hardsigmoid hardswish hardshrink softshrink threshold softsign tanhshrink "
    "erf erfc erfinv sin cos tan asin acos atan asinh acosh atanh sinh cosh exp exp2 expm1 log log1p log2 log10 "
    "sqrt rsqrt reciprocal abs neg sign square pow clamp clamp_min clamp_max maximum minimum add sub rsub mul div "
    "addcmul addcdiv true_divide floor ceil round trunc frac nan_to_num sgn logit sinc lerp fmod remainder "
    "special_erf special_expit eq ne gt ge lt le logical_and logical_or logical_not isnan isinf bitwise_not "
    "bitwise_and bitwise_or".split()
)

PRELU = frozenset("prelu _prelu_kernel".split())

# Weights times signal, when one operand comes from a parameter; a product of two signals otherwise.
MATMUL = frozenset("mm addmm bmm baddbmm mv addmv dot _scaled_mm _grouped_mm".split())
MATMUL_WITH_BIAS = frozenset("addmm baddbmm addmv".split())
BATCHED = frozenset("bmm baddbmm _grouped_mm".split())
CONVOLUTION = frozenset("convolution _convolution convolution_overrideable mkldnn_convolution".split())
LOOKUP = frozenset("embedding _embedding_bag".split())

# Rows of a parameter picked by integers that come from the input: `self.table[ids]`.
PICK = frozenset("index index_select gather".split())

NORM = frozenset(
    "native_layer_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_native_batch_norm_legit_functional _batch_norm_with_update batch_norm_update_stats cudnn_batch_norm "
    "miopen_batch_norm native_group_norm _fused_rms_norm instance_norm".split()
)

SOFTMAX = frozenset("_softmax softmax _log_softmax log_softmax _safe_softmax".split())
ATTENTION = frozenset(
    "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_attention_math _scaled_dot_product_fused_attention_overrideable "
    "scaled_dot_product_attention".split()
)
POOL = frozenset(
    "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d "
    "max_pool2d_with_indices max_pool3d_with_indices max_pool1d adaptive_max_pool2d adaptive_max_pool1d".split()
)
# Reductions that a hand-written norm or softmax is made of.
REDUCTION = frozenset(
    "mean sum var std var_mean std_mean linalg_vector_norm norm amax amin max min logsumexp special_logsumexp".split()
)
AVERAGE = frozenset("mean sum".split())
PEAK = frozenset("amax max".split())
LOG_SUM = frozenset("logsumexp special_logsumexp".split())

GATED = frozenset("glu".split())

# New tensors that take only shape and type from their operand.
FACTORY = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty "
    "new_full new_empty_strided zeros ones empty full arange bernoulli multinomial argmax argmin argsort bincount "
    "_local_scalar_dense item is_nonzero any all nonzero zero fill uniform normal random".split()
)

# Whole recurrent layers and cells, seen one level up: below it they are either opaque or thousands of small steps.
RECURRENT = {
    "lstm": 4,
    "gru": 3,
    "rnn_tanh": 1,
    "rnn_relu": 1,
    "lstm_cell": 4,
    "gru_cell": 3,
    "rnn_tanh_cell": 1,
    "rnn_relu_cell": 1,
}


# What people call an operation, where ATen calls it otherwise.
NAMES = {
    "addmm": "linear",
    "mm": "linear",
    "convolution": "conv",
    "native_layer_norm": "layer_norm",
    "native_batch_norm": "batch_norm",
    "_native_batch_norm_legit": "batch_norm",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "native_group_norm": "group_norm",
    "_fused_rms_norm": "rms_norm",
    "_adaptive_avg_pool2d": "avg_pool",
    "avg_pool2d": "avg_pool",
    "max_pool2d_with_indices": "max_pool",
    "max_pool3d_with_indices": "max_pool",
    "log_sigmoid_forward": "log_sigmoid",
    "_prelu_kernel": "prelu",
}


def base_name(func: object) -> str:
    """An operation's name without namespace, overload and trailing underscore: aten.relu_.default -> "relu"."""
    name = getattr(func, "_opname", None) or str(func).split(".")[1 if str(func).count(".") else 0]
    return name.rstrip("_") or name
