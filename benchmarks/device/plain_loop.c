/* The network as a plain loop over float32 weights, one token at a time, the likeliest chosen: what a compiler makes of
 * the textbook formulas, without a library.
 *
 *     cc -O3 -march=native -ffast-math plain_loop.c -lm -o plain_loop
 *     plain_loop WEIGHTS VOCAB WIDTH LAYERS HEADS HIDDEN CONTEXT
 *
 * WEIGHTS holds float32: embedding, then for each layer q, k, v, o, gate, up, down and its two norms, then the last
 * norm. For every number of tokens on standard input a line comes back with them and the seconds by the clock
 * and by the processor. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int V, D, L, H, F, C;

static void multiply(const float *matrix, const float *x, float *out, int rows, int columns) {
    for (int row = 0; row < rows; row++) {
        float sum = 0;
        for (int i = 0; i < columns; i++) sum += matrix[(size_t)row * columns + i] * x[i];
        out[row] = sum;
    }
}

static void normalize(const float *x, const float *gain, float *out) {
    float sum = 0;
    for (int i = 0; i < D; i++) sum += x[i] * x[i];
    float factor = 1 / sqrtf(sum / D + 1e-5f);
    for (int i = 0; i < D; i++) out[i] = x[i] * factor * gain[i];
}

static void rotate(float *x, int position) {
    int half = D / H / 2;
    for (int head = 0; head < H; head++)
        for (int i = 0; i < half; i++) {
            float *a = x + head * 2 * half + i, *b = a + half, first = *a, second = *b;
            float angle = position * powf(10000, -(float)i / half), c = cosf(angle), s = sinf(angle);
            *a = first * c - second * s;
            *b = second * c + first * s;
        }
}

static void attend(const float *query, const float *keys, const float *values, float *out, int length) {
    int width = D / H;
    float shares[length];
    for (int head = 0; head < H; head++) {
        float highest = -INFINITY, sum = 0;
        for (int t = 0; t < length; t++) {
            shares[t] = 0;
            for (int i = 0; i < width; i++)
                shares[t] += query[head * width + i] * keys[t * D + head * width + i] / sqrtf(width);
            highest = fmaxf(highest, shares[t]);
        }
        for (int t = 0; t < length; t++) sum += shares[t] = expf(shares[t] - highest);
        memset(out + head * width, 0, width * sizeof(float));
        for (int t = 0; t < length; t++)
            for (int i = 0; i < width; i++)
                out[head * width + i] += shares[t] / sum * values[t * D + head * width + i];
    }
}

static double read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static int step(const float *weights, float *cache, float *scores, int token, int position) {
    float x[D], normed[D], query[D], mixed[D], delta[D], gate[F], up[F];
    const float *w = weights + (size_t)V * D;
    memcpy(x, weights + (size_t)token * D, sizeof x);
    for (int layer = 0; layer < L; layer++) {
        const float *q = w, *k = q + D * D, *v = k + D * D, *o = v + D * D, *g = o + D * D, *u = g + F * D,
                    *d = u + F * D, *before = d + D * F, *after = before + D;
        float *keys = cache + (size_t)2 * layer * C * D, *values = keys + (size_t)C * D;
        w = after + D;
        normalize(x, before, normed);
        multiply(q, normed, query, D, D);
        multiply(k, normed, keys + position * D, D, D);
        multiply(v, normed, values + position * D, D, D);
        rotate(query, position);
        rotate(keys + position * D, position);
        attend(query, keys, values, mixed, position + 1);
        multiply(o, mixed, delta, D, D);
        for (int i = 0; i < D; i++) x[i] += delta[i];
        normalize(x, after, normed);
        multiply(g, normed, gate, F, D);
        multiply(u, normed, up, F, D);
        for (int i = 0; i < F; i++) gate[i] *= up[i] / (1 + expf(-gate[i]));
        multiply(d, gate, delta, D, F);
        for (int i = 0; i < D; i++) x[i] += delta[i];
    }
    normalize(x, w, normed);
    multiply(weights, normed, scores, V, D);
    int best = 0;
    for (int i = 1; i < V; i++) if (scores[i] > scores[best]) best = i;
    return best;
}

int main(int argc, char **argv) {
    if (argc != 8) return 64;
    V = atoi(argv[2]), D = atoi(argv[3]), L = atoi(argv[4]), H = atoi(argv[5]), F = atoi(argv[6]), C = atoi(argv[7]);
    size_t count = (size_t)V * D + (size_t)L * (4 * D * D + 3 * F * D + 2 * D) + D;
    float *weights = malloc(count * sizeof(float)), *cache = calloc((size_t)2 * L * C * D, sizeof(float));
    float *scores = malloc(V * sizeof(float));
    FILE *file = fopen(argv[1], "rb");
    if (!file || fread(weights, sizeof(float), count, file) != count) return 65;
    for (int tokens; scanf("%d", &tokens) == 1;) {
        double start = read_clock(CLOCK_MONOTONIC), start_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0, token = 3; i < tokens; i++) token = step(weights, cache, scores, token, i % C);
        double seconds = read_clock(CLOCK_MONOTONIC) - start;
        printf("%d %.6f %.6f\n", tokens, seconds, read_clock(CLOCK_PROCESS_CPUTIME_ID) - start_cpu);
        fflush(stdout);
    }
}
