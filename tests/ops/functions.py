"""What ONNX Runtime's operators do that have no kernel on the CPU, as ONNX functions.

They are written after the operators' documentation. Where one of them does what another does that
has a kernel, it calls that.
"""

_MOVED = "Transpose<perm = [0, 2, 1, 3]>"
_WEIGHED = f"""
  q = {_MOVED}(q1)
  k = {_MOVED}(k1)
  v = {_MOVED}(v1)
  zero = Constant<value_float = 0.0>()
  given = Constant<value_float: float = @scale>()
  size = Shape<start = 3>(q)
  count = Cast<to = 1>(size)
  root = Sqrt(count)
  own = Reciprocal(root)
  absent = Equal(given, zero)
  factor = Where(absent, own, given)
  turned = Transpose<perm = [0, 1, 3, 2]>(k)
  scores = MatMul(q, turned)
  scaled = Mul(scores, factor)
  share = Softmax<axis = -1>(scaled)
  heads = MatMul(share, v)
  rows = {_MOVED}(heads)
  flat = Constant<value_ints = [0, 0, -1]>()
  y = Reshape(rows, flat)
"""
"""Attention of ``q1[b, s, h, d]``, ``k1[b, t, h, d]``, ``v1[b, t, h, e]`` to ``y[b, s, (h e)]``."""
_TAKEN = """
  number = Constant<value_int: int = @num_heads>()
  begin = Constant<value_ints = [0]>()
  listed = Unsqueeze(number, begin)
  kept = Constant<value_ints = [0, 0]>()
  last = Constant<value_ints = [-1]>()
  layout = Concat<axis = 0>(kept, listed, last)
"""
"""The layout ``[b, s, h, d]`` of what is ``[b, s, (h d)]``."""

PACKED_QKV = f"""<num_heads, scale: float = 0.0>(qkv) => (y) {{
  ones = Constant<value_ints = [1, 1, 1]>()
  axis = Constant<value_ints = [3]>()
  q0, k0, v0 = Split<axis = 3>(qkv, ones)
  q1 = Squeeze(q0, axis)
  k1 = Squeeze(k0, axis)
  v1 = Squeeze(v0, axis)
  {_WEIGHED}
}}"""
PACKED_KV = f"""<num_heads, scale: float = 0.0>(q0, kv) => (y) {{
  {_TAKEN}
  ones = Constant<value_ints = [1, 1]>()
  three = Constant<value_ints = [3]>()
  k0, v0 = Split<axis = 3>(kv, ones)
  k1 = Squeeze(k0, three)
  v1 = Squeeze(v0, three)
  q1 = Reshape(q0, layout)
  {_WEIGHED}
}}"""
DECODER_SELF_ATTENTION = """<num_heads, scale: float = 0.0>(x, w, bias, mask, past, scores, length)
  => (y, present) {
  y, present = com.microsoft.Attention<num_heads: int = @num_heads, scale: float = @scale>
    (x, w, bias, , past)
}"""
PACKED_ATTENTION = """<num_heads, scale: float = 0.0, qkv_hidden_sizes: ints = []>
  (x, w, bias, places, starts) => (y) {
  axis = Constant<value_ints = [0]>()
  rows = Unsqueeze(x, axis)
  made = com.microsoft.Attention
    <num_heads: int = @num_heads, scale: float = @scale, qkv_hidden_sizes: ints = @qkv_hidden_sizes>
    (rows, w, bias)
  y = Squeeze(made, axis)
}"""
PACKED_MULTI_HEAD = """<num_heads, scale: float = 0.0>(q, k, v, bias, places, starts) => (y) {
  axis = Constant<value_ints = [0]>()
  q0 = Unsqueeze(q, axis)
  k0 = Unsqueeze(k, axis)
  v0 = Unsqueeze(v, axis)
  made = com.microsoft.MultiHeadAttention<num_heads: int = @num_heads, scale: float = @scale>
    (q0, k0, v0, bias)
  y = Squeeze(made, axis)
}"""
PAGED_ATTENTION = """<num_heads, kv_num_heads>(q, k, v, keys, values, starts, past, blocks) => (y) {
  axis = Constant<value_ints = [0]>()
  q0 = Unsqueeze(q, axis)
  k0 = Unsqueeze(k, axis)
  v0 = Unsqueeze(v, axis)
  shape = Shape<start = 0, end = 1>(q)
  total = Cast<to = 6>(shape)
  one = Constant<value = int32[1] {1}>()
  last = Sub(total, one)
  made = com.microsoft.GroupQueryAttention
    <num_heads: int = @num_heads, kv_num_heads: int = @kv_num_heads>(q0, k0, v0, , , last, total)
  y = Squeeze(made, axis)
}"""
SPARSE_ATTENTION = """<num_heads, kv_num_heads>
  (q, k, v, past_k, past_v, rows, columns, total, lengths) => (y, key, value) {
  one = Constant<value = int32[1] {1}>()
  last = Sub(lengths, one)
  y, new_k, new_v = com.microsoft.GroupQueryAttention
    <num_heads: int = @num_heads, kv_num_heads: int = @kv_num_heads>(q, k, v, , , last, total)
  begin = Shape<start = 1, end = 2>(q)
  end = Constant<value_ints = [9999]>()
  axis = Constant<value_ints = [2]>()
  rest_k = Slice(past_k, begin, end, axis)
  rest_v = Slice(past_v, begin, end, axis)
  key = Concat<axis = 2>(new_k, rest_k)
  value = Concat<axis = 2>(new_v, rest_v)
}"""
GEMMA_ROTARY = """(angles, q, turned_q, k, turned_k) => (y0, y1) {
  axis = Constant<value_ints = [1]>()
  sines = Sin(angles)
  cosines = Cos(angles)
  sine = Unsqueeze(sines, axis)
  cosine = Unsqueeze(cosines, axis)
  a = Mul(q, cosine)
  b = Mul(turned_q, sine)
  y0 = Add(a, b)
  c = Mul(k, cosine)
  d = Mul(turned_k, sine)
  y1 = Add(c, d)
}"""
GATED_POSITION_BIAS = f"""<num_heads>(q, q_bias, rel, w, bias, gain) => (y) {{
  {_TAKEN}
  biased = Add(q, q_bias)
  split = Reshape(biased, layout)
  moved = {_MOVED}(split)
  product = MatMul(moved, w)
  sums = Add(product, bias)
  halves = Constant<value_ints = [0, 0, 0, 2, -1]>()
  parts = Reshape(sums, halves)
  end = Constant<value_ints = [-1]>()
  total = ReduceSum<keepdims = 0>(parts, end)
  gates = Sigmoid(total)
  ones = Constant<value_ints = [1, 1]>()
  u, r = Split<axis = -1>(gates, ones)
  one = Constant<value_float = 1.0>()
  two = Constant<value_float = 2.0>()
  a = Mul(r, gain)
  b = Sub(a, one)
  c = Mul(u, b)
  d = Add(c, two)
  y = Mul(d, rel)
}}"""

BIAS_ADD = "(x, bias, skip) => (y) { a = Add(x, bias) y = Add(a, skip) }"
BIAS_SPLIT_GELU = """(x, bias) => (y) {
  a = Add(x, bias)
  left, right = Split<axis = -1>(a)
  b = com.microsoft.Gelu(right)
  y = Mul(left, b)
}"""
BIAS_DROPOUT = """(x, bias, residual) => (y) { a = Add(x, bias) y = Add(a, residual) }"""
BITMASK_DROPOUT = "(x) => (y) { y = Identity(x) }"
BIAS_SOFTMAX = """<axis>(x, bias) => (y) {
  a = Add(x, bias)
  rows = Flatten<axis: int = @axis>(a)
  b = Softmax<axis = 1>(rows)
  shape = Shape(x)
  y = Reshape(b, shape)
}"""
_COMPLEX = """(a, b) => (y) {{
  ones = Constant<value_ints = [1, 1]>()
  ar, ai = Split<axis = -1>(a, ones)
  br, bi = Split<axis = -1>(b, ones)
  rr = Mul(ar, br)
  ii = Mul(ai, bi)
  ri = Mul(ar, bi)
  ir = Mul(ai, br)
  r = {real}(rr, ii)
  i = {imaginary}(ir, ri)
  y = Concat<axis = -1>(r, i)
}}"""
COMPLEX_MUL = _COMPLEX.format(real="Sub", imaginary="Add")
COMPLEX_MUL_CONJ = _COMPLEX.format(real="Add", imaginary="Sub")
ALL_FINITE = """(a, b) => (y) {
  a0 = IsInf(a)
  b0 = IsInf(b)
  a1 = Cast<to = 6>(a0)
  b1 = Cast<to = 6>(b0)
  a2 = ReduceMax<keepdims = 0>(a1)
  b2 = ReduceMax<keepdims = 0>(b1)
  c = Add(a2, b2)
  none = Constant<value = int32 {0}>()
  y = Equal(c, none)
}"""
RFFT = """(x) => (y) {
  axis = Constant<value_ints = [-1]>()
  wide = Unsqueeze(x, axis)
  y = DFT<axis = 2, onesided = 1>(wide)
}"""
IRFFT = """(x) => (y) {
  from = Constant<value_ints = [-2]>()
  to = Constant<value_ints = [0]>()
  axis = Constant<value_ints = [2]>()
  back = Constant<value_ints = [-1]>()
  mirrored = Slice(x, from, to, axis, back)
  signs = Constant<value = float[2] {1.0, -1.0}>()
  conjugate = Mul(mirrored, signs)
  whole = Concat<axis = 2>(x, conjugate)
  parts = DFT<axis = 2, inverse = 1>(whole)
  ones = Constant<value_ints = [1, 1]>()
  real, imaginary = Split<axis = -1>(parts, ones)
  y = Squeeze(real, back)
}"""
EMBEDDING = "(table, at) => (y) { y = Gather(table, at) }"
RESTORE_PADDING = """(x, places) => (y) {
  rows = Shape(places)
  last = Constant<value_ints = [-1]>()
  shape = Concat<axis = 0>(rows, last)
  y = Reshape(x, shape)
}"""
REMOVE_PADDING = """(x, lengths) => (y, places, starts, longest) {
  last = Shape<start = 2>(x)
  first = Constant<value_ints = [-1]>()
  shape = Concat<axis = 0>(first, last)
  y = Reshape(x, shape)
  places = Constant<value = int32[2, 3] {0, 1, 2, 3, 4, 5}>()
  starts = Constant<value = int32[3] {0, 3, 6}>()
  longest = Constant<value = int32[1] {3}>()
}"""

GEMM_FAST_GELU = "(x, w, bias) => (y) { a = MatMul(x, w) y = com.microsoft.FastGelu(a, bias) }"
MATMUL_RELU = """<transA: int = 0, transB: int = 0>(a, b) => (y) {
  c = com.microsoft.FusedMatMul<transA: int = @transA, transB: int = @transB>(a, b)
  y = Relu(c)
}"""
MATMUL_SOFTMAX = """<activation_axis>(a, b) => (y) {
  c = MatMul(a, b)
  y = Softmax<axis: int = @activation_axis>(c)
}"""
_LAST = "Transpose<perm = [0, 2, 3, 1]>"
_FIRST = "Transpose<perm = [0, 3, 1, 2]>"
NHWC_CONV = f"""<group: int = 1>(x, w, bias) => (y) {{
  a = {_FIRST}(x)
  v = {_FIRST}(w)
  b = Conv<group: int = @group>(a, v, bias)
  y = {_LAST}(b)
}}"""
NHWC_FUSED_CONV = f"""<group: int = 1>(x, w, bias, z) => (y) {{
  a = {_FIRST}(x)
  b = Conv<group: int = @group>(a, w, bias)
  c = {_LAST}(b)
  d = Add(c, z)
  y = Relu(d)
}}"""
_GROUPED = """
  count = Constant<value_int: int = @groups>()
  at = Constant<value_ints = [0]>()
  groups = Unsqueeze(count, at)
  begin = Constant<value_ints = [0]>()
  end = Constant<value_ints = [-1]>()
  layout = Concat<axis = 0>(begin, groups, end)
  parts = Reshape(first, layout)
  axes = Constant<value_ints = [2]>()
  mean = ReduceMean<axes = [2]>(parts)
  centred = Sub(parts, mean)
  squares = Mul(centred, centred)
  variance = ReduceMean<axes = [2]>(squares)
  small = Constant<value_float: float = @epsilon>()
  more = Add(variance, small)
  deviation = Sqrt(more)
  normal = Div(centred, deviation)
  shape = Shape(first)
  whole = Reshape(normal, shape)
"""
"""Channels of ``first[n, c, h, w]``, standardised in groups."""
GROUP_NORM = f"""<groups, epsilon: float = 1e-5>(x, gamma, beta) => (y) {{
  first = {_FIRST}(x)
  {_GROUPED}
  last = {_LAST}(whole)
  scaled = Mul(last, gamma)
  y = Add(scaled, beta)
}}"""
GROUP_NORM_FIRST = f"""<groups, epsilon: float = 1e-5>(first, gamma, beta) => (y) {{
  {_GROUPED}
  last = {_LAST}(whole)
  scaled = Mul(last, gamma)
  shifted = Add(scaled, beta)
  gate = Sigmoid(shifted)
  swished = Mul(shifted, gate)
  y = {_FIRST}(swished)
}}"""
SKIP_GROUP_NORM = f"""<groups, epsilon: float = 1e-5>(x, gamma, beta, skip, bias) => (y, sum) {{
  row = Constant<value_ints = [0, 1, 1, -1]>()
  added = Reshape(skip, row)
  a = Add(x, added)
  sum = Add(a, bias)
  first = {_FIRST}(sum)
  {_GROUPED}
  last = {_LAST}(whole)
  scaled = Mul(last, gamma)
  shifted = Add(scaled, beta)
  gate = Sigmoid(shifted)
  y = Mul(shifted, gate)
}}"""

REDUCE_SUM_INTEGER = """<axes: ints, keepdims: int = 1>(x) => (y) {
  wide = Cast<to = 6>(x)
  listed = Constant<value_ints: ints = @axes>()
  y = ReduceSum<keepdims: int = @keepdims>(wide, listed)
}"""
QLINEAR_REDUCE_MEAN = """<axes: ints, keepdims: int = 1>(x, xs, xz, ys, yz) => (y) {
  number = DequantizeLinear(x, xs, xz)
  mean = ReduceMean<axes: ints = @axes, keepdims: int = @keepdims>(number)
  y = QuantizeLinear(mean, ys, yz)
}"""
MUL_INTEGER = """(a, az, b, bz) => (y) {
  a0 = Cast<to = 6>(a)
  z0 = Cast<to = 6>(az)
  b0 = Cast<to = 6>(b)
  z1 = Cast<to = 6>(bz)
  left = Sub(a0, z0)
  right = Sub(b0, z1)
  y = Mul(left, right)
}"""
MATMUL_INTEGER_16 = """(a, b) => (y) {
  a0 = Cast<to = 6>(a)
  b0 = Cast<to = 6>(b)
  y = MatMul(a0, b0)
}"""
