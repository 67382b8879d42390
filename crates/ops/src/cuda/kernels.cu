// The kernels that candle lacks or composes of many. All matrices are f32, row by row.
//
// No sum here depends on the order in which blocks happen to run: what several blocks add up is
// written down part by part and folded in a fixed order.

typedef unsigned int u32;
typedef unsigned long long u64;

// ---------------------------------------------------------------- dropout masks

#define ROTATED(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define QUARTER(a, b, c, d)                                                                      \
    a += b; d ^= a; d = ROTATED(d, 16);                                                          \
    c += d; b ^= c; b = ROTATED(b, 12);                                                          \
    a += b; d ^= a; d = ROTATED(d, 8);                                                           \
    c += d; b ^= c; b = ROTATED(b, 7);

// What a mask is keyed by.
struct Key {
    u64 seed, purpose, step, layer;
};

// A block of 16 words of ChaCha with 8 rounds, 64-bit counter and 64-bit stream.
__device__ static void chacha8(const Key& key, u64 counter, u64 stream, u32* out) {
    u32 in[16] = {
        0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u,
        (u32)key.seed, (u32)(key.seed >> 32), (u32)key.purpose, (u32)(key.purpose >> 32),
        (u32)key.step, (u32)(key.step >> 32), (u32)key.layer, (u32)(key.layer >> 32),
        (u32)counter, (u32)(counter >> 32), (u32)stream, (u32)(stream >> 32)};
#pragma unroll
    for (int i = 0; i < 16; ++i) out[i] = in[i];
#pragma unroll
    for (int round = 0; round < 4; ++round) {
        QUARTER(out[0], out[4], out[8], out[12])
        QUARTER(out[1], out[5], out[9], out[13])
        QUARTER(out[2], out[6], out[10], out[14])
        QUARTER(out[3], out[7], out[11], out[15])
        QUARTER(out[0], out[5], out[10], out[15])
        QUARTER(out[1], out[6], out[11], out[12])
        QUARTER(out[2], out[7], out[8], out[13])
        QUARTER(out[3], out[4], out[9], out[14])
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) out[i] += in[i];
}

// Bits of states `[tokens, 32 · line]`: a thread a word.
extern "C" __global__ void state_mask(
    u32* words, const u32* rows, const u32* positions, u64 seed, u64 purpose, u64 step, u64 layer,
    u64 first_row, u64 threshold, u32 tokens, u32 line) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= tokens * line) return;
    u32 token = index / line, word = index % line;
    Key key = {seed, purpose, step, layer};
    u64 counter = ((u64)positions[token] << 20) + 2 * word;
    u32 bits = 0, drawn[16];
    for (int half = 0; half < 2; ++half) {
        chacha8(key, counter + half, first_row + rows[token], drawn);
#pragma unroll
        for (int i = 0; i < 16; ++i) bits |= (u32)(drawn[i] >= threshold) << (16 * half + i);
    }
    words[index] = bits;
}

// Bits of attention `[sequences, heads, queries, 32 · line]`: a thread a word.
extern "C" __global__ void head_mask(
    u32* words, const u32* query_starts, const u32* query_positions, const u32* key_starts,
    const u32* key_positions, u64 seed, u64 purpose, u64 step, u64 layer, u64 first_row,
    u64 threshold, u32 sequences, u32 heads, u32 queries, u32 line) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= sequences * heads * queries * line) return;
    u32 word = index % line, query = index / line % queries;
    u32 head = index / line / queries % heads, row = index / line / queries / heads;
    u32 bits = 0, first = key_starts[row], length = key_starts[row + 1] - first;
    if (query < query_starts[row + 1] - query_starts[row]) {
        Key key = {seed, purpose, step, layer};
        u64 start = (((u64)head << 24) + query_positions[query_starts[row] + query]) << 24;
        u64 at = ~0ull;
        u32 drawn[16];
        for (u32 bit = 0; bit < 32 && 32 * word + bit < length; ++bit) {
            u64 place = start + key_positions[first + 32 * word + bit];
            if (place >> 4 != at) {
                at = place >> 4;
                chacha8(key, at, first_row + row, drawn);
            }
            u32 value = 0;
#pragma unroll
            for (int i = 0; i < 16; ++i) value = (place & 15) == i ? drawn[i] : value;
            bits |= (u32)(value >= threshold) << bit;
        }
    }
    words[index] = bits;
}

// `out = kept ? scale · x : 0`, for `[rows, width]`.
extern "C" __global__ void keep_masked(
    float* out, const float* x, const u32* words, float scale, u32 count, u32 width, u32 line) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 channel = index % width;
    u32 bit = words[index / width * line + channel / 32] >> (channel % 32) & 1;
    out[index] = bit ? scale * x[index] : 0.f;
}

// ---------------------------------------------------------------- elementwise

// `out = x + bias`.
extern "C" __global__ void add_bias(
    float* out, const float* x, const float* bias, u32 count, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) out[index] = x[index] + bias[index % width];
}

// `out = residual + drop(x + bias)`; no words: nothing is dropped.
extern "C" __global__ void add_residual(
    float* out, const float* x, const float* bias, const u32* words, const float* residual,
    float scale, u32 count, u32 width, u32 line) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 channel = index % width;
    float value = x[index] + bias[channel];
    if (words) {
        u32 bit = words[index / width * line + channel / 32] >> (channel % 32) & 1;
        value = bit ? scale * value : 0.f;
    }
    out[index] = residual[index] + value;
}

// `sum += x`.
extern "C" __global__ void add_to(float* sum, const float* x, u64 count) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) sum[index] += x[index];
}

// The activation and its slope: 0 GELU, 1 quick GELU.
__device__ static void activation(int kind, float x, float* value, float* slope) {
    if (kind == 0) {
        float cumulative = 0.5f * erfcf(-0.70710678f * x);
        *value = x * cumulative;
        *slope = cumulative + x * 0.39894228f * expf(-0.5f * x * x);
    } else {
        float sigmoid = 1.f / (1.f + expf(-1.702f * x));
        *value = x * sigmoid;
        *slope = sigmoid + 1.702f * x * sigmoid * (1.f - sigmoid);
    }
}

// `out = act(x + bias)`; no bias: 0.
extern "C" __global__ void activate(
    float* out, const float* x, const float* bias, int kind, u32 count, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    float slope;
    activation(kind, x[index] + (bias ? bias[index % width] : 0.f), out + index, &slope);
}

// `out = gradient · act'(x + bias)`.
extern "C" __global__ void activate_backward(
    float* out, const float* gradient, const float* x, const float* bias, int kind,
    u32 count, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    float value, slope;
    activation(kind, x[index] + (bias ? bias[index % width] : 0.f), &value, &slope);
    out[index] = gradient[index] * slope;
}

// ---------------------------------------------------------------- rows

// The sum over a block's threads, for all of them; `shared` has a place a warp.
__device__ static float block_sum(float value, float* shared) {
    for (int offset = 16; offset; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    __syncthreads();
    value = 0.f;
    for (int warp = 0; warp < blockDim.x / 32; ++warp) value += shared[warp];
    return value;
}

// Mean and 1 / σ of a row.
__device__ static void statistics(
    const float* x, u32 width, float eps, float* shared, float* mean, float* inverse) {
    float sum = 0.f;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) sum += x[i];
    *mean = block_sum(sum, shared) / width;
    float squares = 0.f;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float centred = x[i] - *mean;
        squares += centred * centred;
    }
    *inverse = rsqrtf(block_sum(squares, shared) / width + eps);
}

// A block a row.
extern "C" __global__ void row_norm(
    float* out, const float* x, const float* weight, const float* bias, float eps, u32 width) {
    __shared__ float shared[32];
    x += (u64)blockIdx.x * width;
    out += (u64)blockIdx.x * width;
    float mean, inverse;
    statistics(x, width, eps, shared, &mean, &inverse);
    for (u32 i = threadIdx.x; i < width; i += blockDim.x)
        out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

// `sum = residual + drop(x + bias)` and its normalised rows: a block a row.
extern "C" __global__ void add_residual_norm(
    float* out, float* sum, const float* x, const float* bias, const u32* words,
    const float* residual, const float* weight, const float* shift, float scale, float eps,
    u32 width, u32 line) {
    __shared__ float shared[32];
    u64 begin = (u64)blockIdx.x * width;
    x += begin, out += begin, sum += begin, residual += begin;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float value = x[i] + bias[i];
        if (words) {
            u32 bit = words[blockIdx.x * line + i / 32] >> (i % 32) & 1;
            value = bit ? scale * value : 0.f;
        }
        sum[i] = residual[i] + value;
    }
    float mean, inverse;
    statistics(sum, width, eps, shared, &mean, &inverse);
    for (u32 i = threadIdx.x; i < width; i += blockDim.x)
        out[i] = (sum[i] - mean) * inverse * weight[i] + shift[i];
}

// The gradient by `x`, and mean and 1 / σ of each row for `row_norm_parameters`: a block a row.
extern "C" __global__ void row_norm_backward(
    float* out, float* stats, const float* x, const float* weight, const float* gradient,
    float eps, u32 width) {
    __shared__ float shared[32];
    x += (u64)blockIdx.x * width;
    out += (u64)blockIdx.x * width;
    gradient += (u64)blockIdx.x * width;
    float mean, inverse;
    statistics(x, width, eps, shared, &mean, &inverse);
    float level = 0.f, tilt = 0.f;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float scaled = gradient[i] * weight[i];
        level += scaled;
        tilt += scaled * ((x[i] - mean) * inverse);
    }
    level = block_sum(level, shared) / width;
    tilt = block_sum(tilt, shared) / width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x)
        out[i] = inverse * (gradient[i] * weight[i] - level - (x[i] - mean) * inverse * tilt);
    if (threadIdx.x == 0) {
        stats[2 * blockIdx.x] = mean;
        stats[2 * blockIdx.x + 1] = inverse;
    }
}

// Sums over some rows, `parts` `[chunks, 2 · width]`: the gradients by weight, then by bias. A
// thread a column, a block a chunk of rows.
extern "C" __global__ void row_norm_parameters(
    float* parts, const float* x, const float* stats, const float* gradient, u32 rows, u32 width,
    u32 chunk) {
    u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    u32 end = min(rows, (blockIdx.y + 1) * chunk);
    float by_weight = 0.f, by_bias = 0.f;
    for (u32 row = blockIdx.y * chunk; row < end; ++row) {
        u64 at = (u64)row * width + column;
        by_weight += gradient[at] * ((x[at] - stats[2 * row]) * stats[2 * row + 1]);
        by_bias += gradient[at];
    }
    parts[(u64)blockIdx.y * 2 * width + column] = by_weight;
    parts[(u64)blockIdx.y * 2 * width + width + column] = by_bias;
}

// Sums over some rows of `x`, `parts` `[chunks, width]`.
extern "C" __global__ void column_parts(
    float* parts, const float* x, u32 rows, u32 width, u32 chunk) {
    u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    u32 end = min(rows, (blockIdx.y + 1) * chunk);
    float sum = 0.f;
    for (u32 row = blockIdx.y * chunk; row < end; ++row) sum += x[(u64)row * width + column];
    parts[(u64)blockIdx.y * width + column] = sum;
}

// The sums over the chunks, in their order.
extern "C" __global__ void fold_parts(float* out, const float* parts, u32 chunks, u32 width) {
    u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0.f;
    for (u32 chunk = 0; chunk < chunks; ++chunk) sum += parts[(u64)chunk * width + column];
    out[column] = sum;
}

// ---------------------------------------------------------------- attention

// From tokens `[tokens, heads · width]` to `[sequences, heads, longest, width]`, 0 behind a
// sequence's end, with a bias where there is one.
extern "C" __global__ void split_heads(
    float* out, const float* x, const float* bias, const u32* starts, u32 count, u32 heads,
    u32 longest, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 channel = index % width, at = index / width % longest;
    u32 head = index / width / longest % heads, row = index / width / longest / heads;
    float value = 0.f;
    if (at < starts[row + 1] - starts[row]) {
        u32 column = head * width + channel;
        value = x[(u64)(starts[row] + at) * heads * width + column] + (bias ? bias[column] : 0.f);
    }
    out[index] = value;
}

// And back.
extern "C" __global__ void merge_heads(
    float* out, const float* x, const u32* starts, const u32* rows, u32 count, u32 heads,
    u32 longest, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 column = index % (heads * width), token = index / (heads * width);
    u32 row = rows[token], at = token - starts[row];
    u64 line = ((u64)row * heads + column / width) * longest + at;
    out[index] = x[line * width + column % width];
}

// How many keys a query reads.
__device__ static u32 reach_of(
    const u32* query_starts, const u32* key_starts, const u32* readers, int causal, u32 row,
    u32 query) {
    if (query >= query_starts[row + 1] - query_starts[row]) return 0;
    u32 length = key_starts[row + 1] - key_starts[row];
    u32 first = readers ? readers[row] - key_starts[row] : 0;
    return causal ? min(length, first + query + 1) : length;
}

// Scores `[sequences, heads, queries, keys]` become probabilities where they lie; `dropped` has
// them behind dropout, where words are given. A warp a row.
extern "C" __global__ void softmax(
    float* scores, float* dropped, const u32* words, const u32* query_starts,
    const u32* key_starts, const u32* readers, int causal, float scale, float keep_scale,
    u32 lines, u32 heads, u32 queries, u32 keys, u32 line) {
    u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= lines) return;
    u32 row = index / queries / heads, query = index % queries;
    u32 reach = reach_of(query_starts, key_starts, readers, causal, row, query);
    scores += (u64)index * keys;
    float highest = -3.4028235e38f, sum = 0.f;
    for (u32 key = lane; key < reach; key += 32) highest = fmaxf(highest, scores[key] * scale);
    for (int offset = 16; offset; offset /= 2)
        highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, offset));
    for (u32 key = lane; key < reach; key += 32) sum += expf(scores[key] * scale - highest);
    for (int offset = 16; offset; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
    for (u32 key = lane; key < keys; key += 32) {
        float p = key < reach ? expf(scores[key] * scale - highest) / sum : 0.f;
        scores[key] = p;
        if (words) {
            u32 bit = words[(u64)index * line + key / 32] >> (key % 32) & 1;
            dropped[(u64)index * keys + key] = bit ? keep_scale * p : 0.f;
        }
    }
}

// The gradient by what dropout gave becomes that by the scores, and the probabilities what dropout
// made of them, both where they lie. A warp a row.
extern "C" __global__ void softmax_backward(
    float* gradient, float* probabilities, const u32* words, float scale, float keep_scale,
    u32 lines, u32 keys, u32 line) {
    u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= lines) return;
    gradient += (u64)index * keys;
    probabilities += (u64)index * keys;
    float mean = 0.f;
    for (u32 key = lane; key < keys; key += 32) {
        float factor = 1.f;
        if (words)
            factor = words[(u64)index * line + key / 32] >> (key % 32) & 1 ? keep_scale : 0.f;
        mean += gradient[key] * factor * probabilities[key];
    }
    for (int offset = 16; offset; offset /= 2) mean += __shfl_xor_sync(~0u, mean, offset);
    for (u32 key = lane; key < keys; key += 32) {
        float factor = 1.f;
        if (words)
            factor = words[(u64)index * line + key / 32] >> (key % 32) & 1 ? keep_scale : 0.f;
        float p = probabilities[key];
        gradient[key] = p * (gradient[key] * factor - mean) * scale;
        probabilities[key] = p * factor;
    }
}

// ---------------------------------------------------------------- tables

// `out[i] = table[ids[i]]`.
extern "C" __global__ void gather_rows(
    float* out, const float* table, const u32* ids, u32 count, u32 width) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) out[index] = table[(u64)ids[index / width] * width + index % width];
}

// Adds to each row `ids[first[i]]` of a table the gradients at `places[first[i]..first[i + 1]]`, in
// their order: a block a row that was read.
extern "C" __global__ void scatter_rows(
    float* table, const float* gradient, const u32* ids, const u32* places, const u32* first,
    u32 width) {
    u32 begin = first[blockIdx.x], end = first[blockIdx.x + 1];
    float* row = table + (u64)ids[begin] * width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float sum = 0.f;
        for (u32 at = begin; at < end; ++at) sum += gradient[(u64)places[at] * width + i];
        row[i] += sum;
    }
}

// ---------------------------------------------------------------- the optimiser

// Elements that one block works through, of which parameter and which of its chunks tables say.
#define CHUNK 16384

// Sums of the squares of the elements of each chunk, in f64.
extern "C" __global__ void square_parts(
    double* parts, const u64* tensors, const u32* sizes, const u32* owner, const u32* place) {
    __shared__ double shared[256];
    u32 tensor = owner[blockIdx.x], begin = place[blockIdx.x] * CHUNK;
    u32 end = min(sizes[tensor], begin + CHUNK);
    const float* x = (const float*)tensors[tensor];
    double sum = 0.;
    for (u32 i = begin + threadIdx.x; i < end; i += blockDim.x) sum += (double)x[i] * (double)x[i];
    shared[threadIdx.x] = sum;
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = shared[0];
}

// A step of AdamW; a parameter's moments are the first, then the second.
extern "C" __global__ void adamw(
    const u64* values_of, const u64* moments_of, const u64* gradients_of, const float* keep_of,
    const float* step_size_of, const u32* sizes, const u32* owner, const u32* place, float scale,
    float new_first, float keep_second, float new_second, float root, float epsilon) {
    u32 tensor = owner[blockIdx.x], begin = place[blockIdx.x] * CHUNK, size = sizes[tensor];
    u32 end = min(size, begin + CHUNK);
    float* values = (float*)values_of[tensor];
    float* firsts = (float*)moments_of[tensor];
    float* seconds = firsts + size;
    const float* gradients = (const float*)gradients_of[tensor];
    float keep = keep_of[tensor], step_size = step_size_of[tensor];
    for (u32 i = begin + threadIdx.x; i < end; i += blockDim.x) {
        float gradient = scale * gradients[i];
        float first = firsts[i], second = seconds[i];
        first += new_first * (gradient - first);
        second = keep_second * second + new_second * gradient * gradient;
        firsts[i] = first;
        seconds[i] = second;
        values[i] = values[i] * keep - step_size * (first / (sqrtf(second) / root + epsilon));
    }
}
