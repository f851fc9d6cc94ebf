/* cpu.h — inside of the CPU backend: its device handle, the paths chosen when it is opened, and the operations by file.
   Contracts of the operations are those of kernels/backend.h. */
#ifndef SS_KERNELS_CPU_H
#define SS_KERNELS_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/backend.h"

enum cpu_isa { CPU_PORTABLE, CPU_AVX2, CPU_AVX512, CPU_N_ISA };

/* Loops over fewer elements than this run on one thread: starting the team costs more. */
enum { CPU_PARALLEL_MIN = 32768 };

struct ss_dev {
    int threads;
    enum cpu_isa isa; /* widest instruction set of this CPU, or what SHARDSCALE_CPU asked for */
    const struct cpu_dot *dot;
    const struct cpu_attend_u64 *attend; /* NULL: no fast path */
    const struct cpu_few *few;           /* NULL: no fast path */
    const struct cpu_aes *aes;
    uint64_t *mark_ns;
    size_t n_marks;
    void *work; /* scratch of one operation; may hold shares */
    size_t work_bytes;
    float *turns; /* (turn_positions, turn_pairs) of (cos, sin) for turn_theta: see ss_rope_turns */
    size_t turn_positions, turn_pairs;
    double turn_theta;
};

/* Scratch of at least `bytes`, 64-byte aligned, valid until the next call; grows, never shrinks. */
SS_CHECKED enum ss_err cpu_work(struct ss_dev *dev, void **p, size_t bytes);

/* ---- dev.c */
enum ss_err cpu_open(struct ss_dev **dev, const struct ss_dev_options *o);
void cpu_close(struct ss_dev *dev);
void cpu_memory(struct ss_dev *dev, size_t *free_bytes, size_t *total_bytes);
enum ss_err cpu_alloc(struct ss_dev *dev, void **p, size_t bytes);
void cpu_free(struct ss_dev *dev, void *p, size_t bytes, bool wipe);
enum ss_err cpu_move(struct ss_dev *dev, void *dst, const void *src, size_t bytes);
enum ss_err cpu_sync(struct ss_dev *dev);
enum ss_err cpu_mark(struct ss_dev *dev, size_t slot);
uint64_t cpu_span_ns(struct ss_dev *dev, size_t from, size_t to);

/* ---- gemm.c: float product */
enum ss_err cpu_gemm(struct ss_dev *dev, float *out, const void *a, enum ss_type act, size_t m, const struct ss_matrix *w,
                     const float *bias, bool accumulate);
/* Round to nearest, ties to even; NaN stays NaN. */
uint16_t cpu_bf16(float x);
static inline float cpu_widen(uint16_t bf16)
{
    const uint32_t bits = (uint32_t)bf16 << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
/* out[first .. first + n) of type act (SS_F32 or SS_BF16) = x */
void cpu_store(void *out, enum ss_type act, size_t first, const float *x, size_t n);

/* ---- gemm_few.c: float product of up to CPU_FEW tokens with bf16 weights */
enum { CPU_FEW = 16, CPU_FEW_TOKENS = 8, CPU_FEW_ROWS = 2 };
struct cpu_few {
    size_t tokens; /* of one call, at most CPU_FEW_TOKENS */
    /* sum[t][r] = a[t] . w[r] over k values, for `tokens` pointers at a and CPU_FEW_ROWS at w, which may be equal */
    void (*run)(float (*sum)[CPU_FEW_ROWS], const float *const *a, const uint16_t *const *w, size_t k);
};
extern const struct cpu_few cpu_few_avx2, cpu_few_avx512;

/* ---- attention.c */
enum ss_err cpu_attention(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                          const struct ss_attention *p);

/* ---- dot.c, dot_avx2.c, dot_avx512.c, gemm_ring.c: ring product.
   A ring element becomes five signed digits, x = sum_d digit[d] 2^(0,11,22,32,48) mod 2^64, so that 16-bit multiply-add
   instructions do the work. The three low digits lie in [-1024, 1023] (the third in [-512, 511]): their 32-bit lanes stay exact
   over CPU_BLOCK_STEPS steps because 2 * 1024 * 32512 * 32 < 2^31. The two high digits are 16 bits wide; their lanes may wrap,
   since only the sum mod 2^32 survives the shift by 32. */
enum { CPU_DIGITS = 5, CPU_BLOCK_STEPS = 32, CPU_TILE_ROWS = 16 };
struct cpu_dot {
    size_t lanes; /* int16 values per register = k covered by one step; 0: no fast path */
    size_t rows;  /* weight rows of one call; divides CPU_TILE_ROWS */
    /* acc[r] += x . w[r] mod 2^64, x (steps, CPU_DIGITS, lanes) digits of one token, w[r] (steps * lanes), steps <=
       CPU_BLOCK_STEPS. */
    void (*run)(uint64_t *acc, const int16_t *x, const int16_t *const *w, size_t steps);
};
extern const struct cpu_dot cpu_dot_avx2, cpu_dot_avx512;
enum ss_err cpu_gemm_ring(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w);

/* ---- aes.c, aes_vaes.c: AES-128-CTR */
struct cpu_aes {
    const char *name;
    enum cpu_isa isa; /* least SHARDSCALE_CPU at which it may be chosen */
    bool (*usable)(void);
    /* out: 16 * blocks bytes of keystream; see prg_fill */
    enum ss_err (*fill)(uint8_t *out, size_t blocks, const struct ss_aes_key *key, uint64_t nonce, uint64_t first_block);
    /* out = AES(key, in) ^ in, block by block (Matyas, Meyer, Oseas with a fixed key); out and in do not overlap */
    enum ss_err (*mmo)(void *out, const void *in, size_t blocks, const struct ss_aes_key *key);
};
/* Every path, slowest first; NULL-terminated. */
extern const struct cpu_aes *const cpu_aes_paths[];
extern const struct cpu_aes cpu_aes_openssl, cpu_aes_ni, cpu_aes_vaes256, cpu_aes_vaes512;
const struct cpu_aes *cpu_aes_choose(enum cpu_isa isa);
enum ss_err cpu_prg_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                         uint64_t first_block);
enum ss_err cpu_aes_mmo(struct ss_dev *dev, void *out, const void *in, size_t blocks, const struct ss_aes_key *key);

/* ---- ring.c */
enum ss_err cpu_ring_add(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err cpu_ring_sub(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err cpu_ring_mul(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
enum ss_err cpu_ring_add_bias(struct ss_dev *dev, uint64_t *x, const float *bias, size_t rows, size_t cols, unsigned bits,
                              const uint8_t *col_bits);
enum ss_err cpu_ring_encode(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits);
enum ss_err cpu_ring_decode(struct ss_dev *dev, float *out, const uint64_t *a, const uint64_t *b, size_t rows, size_t cols,
                            unsigned bits, const uint8_t *col_bits);
enum ss_err cpu_trunc_open(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party);
enum ss_err cpu_trunc_close(struct ss_dev *dev, uint64_t *out, const uint64_t *c0, const uint64_t *c1, const uint64_t *rt,
                            const uint64_t *rm, size_t rows, size_t cols, unsigned m, const uint8_t *col_m, int party,
                            bool accumulate);
enum ss_err cpu_trunc_deal(struct ss_dev *dev, uint64_t *rt1, uint64_t *rm1, const uint64_t *r0, const uint64_t *r1,
                           const uint64_t *rt0, const uint64_t *rm0, size_t rows, size_t cols, unsigned m,
                           const uint8_t *col_m);

/* ---- dpf.c */
enum { CPU_MAX_TABLE_BITS = 14, CPU_MAX_TABLE_WORDS = 1 << CPU_MAX_TABLE_BITS >> 6 };
enum ss_err cpu_dpf_gen(struct ss_dev *dev, uint64_t *cw, uint64_t *sign, const uint64_t *root0, const uint64_t *root1,
                        const uint64_t *b0, const uint64_t *b1, size_t n, const struct ss_lookup_shape *s,
                        const struct ss_aes_key *key);
enum ss_err cpu_dpf_eval(struct ss_dev *dev, uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n,
                         unsigned n_bits, const struct ss_aes_key *key, int party);
enum ss_err cpu_onehot_deal(struct ss_dev *dev, uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0,
                            const uint64_t *b1, size_t n, const struct ss_lookup_shape *s);

/* ---- lookup.c, lookup_avx2.c */
enum ss_err cpu_lookup_deal(struct ss_dev *dev, uint64_t *coef1, const uint64_t *coef0, const uint64_t *sign,
                            const uint64_t *b0, const uint64_t *b1, const uint64_t *mask0, const uint64_t *mask1, size_t n,
                            const struct ss_lookup_shape *s);
enum ss_err cpu_lookup_index(struct ss_dev *dev, uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b,
                             size_t rows, size_t cols, unsigned m, const uint8_t *col_m, uint64_t lo,
                             const struct ss_lookup_shape *s, int party);
enum ss_err cpu_lookup_sum(struct ss_dev *dev, uint64_t *w, uint64_t *v, const uint64_t *bits, const uint32_t *e0,
                           const uint32_t *e1, const uint64_t *mask, const struct ss_lookup_table *t, size_t n,
                           const struct ss_lookup_shape *s, int party);
enum ss_err cpu_lookup_close(struct ss_dev *dev, uint64_t *out, const uint64_t *o0, const uint64_t *o1, const uint64_t *coef,
                             size_t n, const struct ss_lookup_shape *s);
/* out: the bits of 64 * words positions, moved up by `by`: out_j = bits_(j - by) */
void cpu_rotate_bits(uint64_t *out, const uint64_t *bits, size_t words, uint64_t by);
/* sums[c] = entries of column c whose bit is set */
void cpu_select_sums(uint64_t sums[2], const uint64_t *bits, const struct ss_lookup_table *t, const struct ss_lookup_shape *s);
void cpu_select_sums_avx2(uint64_t sums[2], const uint64_t *bits, const struct ss_lookup_table *t,
                          const struct ss_lookup_shape *s);

/* ---- products.c */
enum ss_err cpu_ring_sub_rows(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b,
                              size_t rows, size_t cols);
enum ss_err cpu_ring_beaver(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *y,
                            const uint64_t *a, const uint64_t *e0, const uint64_t *e1, const uint64_t *c, size_t rows,
                            size_t cols);
enum ss_err cpu_ring_square_sum(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *a,
                                const uint64_t *c, size_t rows, size_t cols, int party);
enum ss_err cpu_ring_spread(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
enum ss_err cpu_ring_row_sums(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
enum ss_err cpu_ring_scale_cols(struct ss_dev *dev, uint64_t *x, const uint64_t *g, size_t rows, size_t cols);
enum ss_err cpu_ring_rope(struct ss_dev *dev, uint64_t *x, size_t rows, size_t stride, size_t heads, size_t d_head,
                          const int32_t *cs, const uint8_t *up);
enum ss_err cpu_tournament_split(struct ss_dev *dev, uint64_t *diff, const uint64_t *x, const struct ss_ragged *r,
                                 unsigned level);
enum ss_err cpu_tournament_join(struct ss_dev *dev, uint64_t *out, const uint64_t *x, const uint64_t *won,
                                const struct ss_ragged *r, unsigned level);

/* ---- attend_u64.c, attend_avx2.c, attend_avx512.c */
enum { CPU_ATTEND_COLUMNS = 8 };
struct cpu_attend_u64 {
    /* out[i][j] = a[i] . b[j] mod 2^64, n words each */
    void (*dots)(uint64_t out[2][2], const uint64_t *const a[2], const uint64_t *const b[2], size_t n);
    /* out[i] = sum of w[i][j] times the columns in front of row j of v (n, stride), mod 2^64 */
    void (*columns)(uint64_t out[2][CPU_ATTEND_COLUMNS], const uint64_t *const w[2], const uint64_t *v, size_t stride,
                    size_t n);
};
extern const struct cpu_attend_u64 cpu_attend_avx2, cpu_attend_avx512;
enum ss_err cpu_gemm_u64_scores(struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                                size_t k_stride, const struct ss_attention *p, bool accumulate);
enum ss_err cpu_gemm_u64_values(struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                                const struct ss_attention *p, bool accumulate);

/* ---- slice.c, compare.c */
enum { CPU_TILE_GROUPS = 8 }; /* groups of 64 values that are sliced at a time: every row of bits then gets whole cache lines */
/* rows (64, CPU_TILE_GROUPS): word q of row j = bits j of values (groups, 64) of group q; groups a multiple of 4 */
void cpu_slice(uint64_t *rows, const uint64_t *values, size_t groups);
void cpu_slice_avx2(uint64_t *rows, const uint64_t *values, size_t groups);
enum ss_err cpu_bits_slice(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                           size_t n, unsigned bits);
enum ss_err cpu_carry_leaves(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                             const uint64_t *m, const uint64_t *products, const uint64_t *masks, const uint64_t *h_t,
                             unsigned thresholds, const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party);
enum ss_err cpu_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                           const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                           size_t count, size_t words, int party);
enum ss_err cpu_carry_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                           const uint64_t *masks1, size_t count, size_t words);
enum ss_err cpu_block_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *m0,
                           const uint64_t *m1, size_t bits, size_t words);
enum ss_err cpu_bits_close(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                           const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                           const uint64_t *c1, size_t n, unsigned thresholds, int party);
enum ss_err cpu_bits_deal(struct ss_dev *dev, uint64_t *rho1, uint64_t *rho_a1, const uint64_t *rho0, const uint64_t *rho_a0,
                          const uint64_t *bits0, const uint64_t *bits1, const uint64_t *a0, const uint64_t *a1, size_t n,
                          unsigned thresholds);
enum ss_err cpu_ring_combine(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const uint64_t *h_coef, unsigned terms,
                             uint64_t constant, size_t n);

/* ---- synth.c */
enum ss_err cpu_synth(struct ss_dev *dev, void *dst, enum ss_type type, size_t total_rows, size_t dst_row0, uint64_t seed,
                      uint64_t stream, size_t row0, size_t rows, size_t cols, unsigned scale_bits);
#endif
