/* cuda.cuh — what the files of the CUDA backend share: the opened device, the checks, the operations that kernels/cuda.cu
   puts into its table. One stream per ss_dev; everything below is ordered on it and nothing synchronises the device. */
#ifndef SS_CUDA_CUH
#define SS_CUDA_CUH

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "kernels/backend.h"
}

#include <cublasLt.h>
#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

/* Return SS_ENV from the enclosing function when a CUDA or cuBLAS call fails, naming it. */
#define CU(call)                                                                                                               \
    do {                                                                                                                       \
        cudaError_t cu_err_ = (call);                                                                                          \
        if (cu_err_ != cudaSuccess)                                                                                            \
            SS_FAIL(SS_ENV, "%s: %s", #call, cudaGetErrorString(cu_err_));                                                     \
    } while (0)
#define LT(call)                                                                                                               \
    do {                                                                                                                       \
        cublasStatus_t lt_err_ = (call);                                                                                       \
        if (lt_err_ != CUBLAS_STATUS_SUCCESS)                                                                                  \
            SS_FAIL(SS_ENV, "%s: %s", #call, cublasLtGetStatusString(lt_err_));                                                \
    } while (0)
/* After each launch: the last thing an operation does. */
#define CU_LAUNCHED(kernel)                                                                                                    \
    do {                                                                                                                       \
        cudaError_t cu_err_ = cudaGetLastError();                                                                              \
        if (cu_err_ != cudaSuccess)                                                                                            \
            SS_FAIL(SS_ENV, "launch of %s: %s", kernel, cudaGetErrorString(cu_err_));                                          \
    } while (0)

static const size_t STAGING_BYTES = 8 << 20;       /* each of the two pinned chunks of upload and download */
static const size_t LT_WORKSPACE_BYTES = 64 << 20; /* what cuBLASLt may use; more changes nothing at our shapes */
enum { DIGITS = 8, MAX_EXACT_K = 65535 }; /* of a share; longest dot product that two digit products leave exact in int32 */

/* Memory an operation needs for itself. Grows at first use of a shape (the warm-up), never afterwards. */
enum scratch {
    SCRATCH_DIGITS,
    SCRATCH_PRODUCTS,
    SCRATCH_TERMS,
    SCRATCH_SUMS,
    SCRATCH_ANGLES,
    SCRATCH_PARTIALS,
    SCRATCH_PLANES,
    SCRATCH_N
};

struct lt_plan;

struct ss_dev {
    int ordinal, sms;
    int wgmma; /* 1: Hopper, and this build has sm_90a code */
    cudaStream_t stream;
    cublasLtHandle_t lt;
    void *lt_workspace;
    struct lt_plan *plans; /* n_plans, one per shape seen */
    size_t n_plans, cap_plans;
    cudaEvent_t *marks; /* n_marks, with timing */
    size_t n_marks;
    bool range_open; /* an NVTX range of this handle's thread */
    void *scratch[SCRATCH_N];
    size_t scratch_bytes[SCRATCH_N];
    uint8_t *p_staging[2];
    cudaEvent_t staged[2]; /* the copy that last used p_staging[i] is done */
    double rope_theta;     /* what SCRATCH_ANGLES holds: rope_positions x rope_pairs of (cos, sin) */
    size_t rope_positions, rope_pairs;
    decltype(&cuTensorMapEncodeTiled) encode_map;
};

/* *p: at least `bytes` of scratch memory, contents undefined unless the size had been reached before. */
SS_CHECKED enum ss_err ss_cuda_scratch(struct ss_dev *dev, enum scratch which, size_t bytes, void **p);

static inline size_t div_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}
static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}
static inline bool aligned_to(const void *p, size_t bytes)
{
    return ((uintptr_t)p & (bytes - 1)) == 0;
}

/* lt.cu: one matrix product through cuBLASLt, d (rows, n) = a (rows, k) * w (n, k)^T; all row-major and dense.
   The fastest of the algorithms offered is found by timing them at the first use of a shape. */
enum lt_kind { LT_BF16, LT_F32, LT_I8 };        /* bf16 -> f32, f32 -> f32 without TF32, int8 -> int32 */
enum { LT_PLAIN = 0, LT_BIAS = 1, LT_ADD = 2 }; /* + bias (n) f32; + what d held */
struct lt_shape {
    enum lt_kind kind;
    unsigned flags;
    size_t rows, n, k;
};
SS_CHECKED enum ss_err ss_lt_matmul(struct ss_dev *dev, void *d, const void *a, const void *w, const float *bias,
                                    const struct lt_shape *shape);
void ss_lt_close(struct ss_dev *dev);

/* gemm_wgmma.cu: digit products and their recombination in one Hopper kernel. */
SS_CHECKED enum ss_err ss_wgmma_open(struct ss_dev *dev); /* sets dev->wgmma */
SS_CHECKED enum ss_err ss_wgmma_gemm(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w);
SS_CHECKED enum ss_err ss_attention_open(struct ss_dev *dev);

/* Operations of struct ss_backend, under its contracts. */
enum ss_err ss_cuda_synth(struct ss_dev *dev, void *dst, enum ss_type type, size_t total_rows, size_t dst_row0, uint64_t seed,
                          uint64_t stream, size_t row0, size_t rows, size_t cols, unsigned scale_bits);
enum ss_err ss_cuda_gemm(struct ss_dev *dev, float *out, const void *a, enum ss_type act, size_t m, const struct ss_matrix *w,
                         const float *bias, bool accumulate);
enum ss_err ss_cuda_rmsnorm(struct ss_dev *dev, void *out, enum ss_type act, const float *x, const float *gain, size_t rows,
                            size_t d, double eps);
enum ss_err ss_cuda_rope(struct ss_dev *dev, float *x, size_t rows, size_t stride, size_t heads, size_t d_head, size_t pos0,
                         double theta);
enum ss_err ss_cuda_attention(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                              const struct ss_attention *p);
enum ss_err ss_cuda_silu_mul(struct ss_dev *dev, void *out, enum ss_type act, const float *gate_up, size_t rows, size_t d_ff);
enum ss_err ss_cuda_gemm_ring(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w);
enum ss_err ss_cuda_ring_add(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err ss_cuda_ring_sub(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err ss_cuda_ring_mul(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err ss_cuda_ring_add_bias(struct ss_dev *dev, uint64_t *x, const float *bias, size_t rows, size_t cols, unsigned bits,
                                  const uint8_t *col_bits);
enum ss_err ss_cuda_ring_encode(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits);
enum ss_err ss_cuda_ring_decode(struct ss_dev *dev, float *out, const uint64_t *a, const uint64_t *b, size_t rows, size_t cols,
                                unsigned bits, const uint8_t *col_bits);
enum ss_err ss_cuda_trunc_open(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party);
enum ss_err ss_cuda_trunc_close(struct ss_dev *dev, uint64_t *out, const uint64_t *c0, const uint64_t *c1, const uint64_t *rt,
                                const uint64_t *rm, size_t rows, size_t cols, unsigned m, const uint8_t *col_m, int party,
                                bool accumulate);
enum ss_err ss_cuda_trunc_deal(struct ss_dev *dev, uint64_t *rt1, uint64_t *rm1, const uint64_t *r0, const uint64_t *r1,
                               const uint64_t *rt0, const uint64_t *rm0, size_t rows, size_t cols, unsigned m,
                               const uint8_t *col_m);
enum ss_err ss_cuda_prg_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                             uint64_t first_block);
enum ss_err ss_cuda_dpf_gen(struct ss_dev *dev, uint64_t *cw, uint64_t *sign, const uint64_t *root0, const uint64_t *root1,
                            const uint64_t *b0, const uint64_t *b1, size_t n, const struct ss_lookup_shape *s,
                            const struct ss_aes_key *key);
enum ss_err ss_cuda_dpf_eval(struct ss_dev *dev, uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n,
                             unsigned n_bits, const struct ss_aes_key *key, int party);
enum ss_err ss_cuda_onehot_deal(struct ss_dev *dev, uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0,
                                const uint64_t *b1, size_t n, const struct ss_lookup_shape *s);
enum ss_err ss_cuda_lookup_deal(struct ss_dev *dev, uint64_t *coef1, const uint64_t *coef0, const uint64_t *sign,
                                const uint64_t *b0, const uint64_t *b1, const uint64_t *mask0, const uint64_t *mask1, size_t n,
                                const struct ss_lookup_shape *s);
enum ss_err ss_cuda_lookup_index(struct ss_dev *dev, uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b,
                                 size_t rows, size_t cols, unsigned m, const uint8_t *col_m, uint64_t lo,
                                 const struct ss_lookup_shape *s, int party);
enum ss_err ss_cuda_lookup_sum(struct ss_dev *dev, uint64_t *w, uint64_t *v, const uint64_t *bits, const uint32_t *e0,
                               const uint32_t *e1, const uint64_t *mask, const struct ss_lookup_table *t, size_t n,
                               const struct ss_lookup_shape *s, int party);
enum ss_err ss_cuda_lookup_close(struct ss_dev *dev, uint64_t *out, const uint64_t *o0, const uint64_t *o1,
                                 const uint64_t *coef, size_t n, const struct ss_lookup_shape *s);
enum ss_err ss_cuda_ring_sub_rows(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b,
                                  size_t rows, size_t cols);
enum ss_err ss_cuda_ring_beaver(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *y,
                                const uint64_t *a, const uint64_t *e0, const uint64_t *e1, const uint64_t *c, size_t rows,
                                size_t cols);
enum ss_err ss_cuda_ring_square_sum(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1,
                                    const uint64_t *a, const uint64_t *c, size_t rows, size_t cols, int party);
enum ss_err ss_cuda_ring_spread(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
enum ss_err ss_cuda_ring_row_sums(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
enum ss_err ss_cuda_ring_scale_cols(struct ss_dev *dev, uint64_t *x, const uint64_t *g, size_t rows, size_t cols);
enum ss_err ss_cuda_ring_rope(struct ss_dev *dev, uint64_t *x, size_t rows, size_t stride, size_t heads, size_t d_head,
                              const int32_t *cs, const uint8_t *up);
enum ss_err ss_cuda_gemm_u64_scores(struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                                    size_t k_stride, const struct ss_attention *p, bool accumulate);
enum ss_err ss_cuda_gemm_u64_values(struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                                    const struct ss_attention *p, bool accumulate);
enum ss_err ss_cuda_tournament_split(struct ss_dev *dev, uint64_t *diff, const uint64_t *x, const struct ss_ragged *r,
                                     unsigned level);
enum ss_err ss_cuda_tournament_join(struct ss_dev *dev, uint64_t *out, const uint64_t *x, const uint64_t *won,
                                    const struct ss_ragged *r, unsigned level);
enum ss_err ss_cuda_bits_slice(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                               size_t n, unsigned bits);
enum ss_err ss_cuda_carry_leaves(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                                 const uint64_t *m, const uint64_t *products, const uint64_t *masks, const uint64_t *h_t,
                                 unsigned thresholds, const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party);
enum ss_err ss_cuda_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                               const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                               size_t count, size_t words, int party);
enum ss_err ss_cuda_carry_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                               const uint64_t *masks1, size_t count, size_t words);
enum ss_err ss_cuda_block_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *m0,
                               const uint64_t *m1, size_t bits, size_t words);
enum ss_err ss_cuda_bits_close(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                               const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                               const uint64_t *c1, size_t n, unsigned thresholds, int party);
enum ss_err ss_cuda_bits_deal(struct ss_dev *dev, uint64_t *rho1, uint64_t *rho_a1, const uint64_t *rho0,
                              const uint64_t *rho_a0, const uint64_t *bits0, const uint64_t *bits1, const uint64_t *a0,
                              const uint64_t *a1, size_t n, unsigned thresholds);
enum ss_err ss_cuda_ring_combine(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const uint64_t *h_coef, unsigned terms,
                                 uint64_t constant, size_t n);
#endif
