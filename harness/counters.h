/* counters.h — THE list of what is counted. Struct fields, HDF5 columns, table headers and units all come from it. */
#ifndef SS_COUNTERS_H
#define SS_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* X(field, unit, long name). All int64, deterministic: equal in every repetition and equal to the variant's cost().
   "evaluations" are counted where the function is called, whatever the variant does to evaluate it. */
#define SS_COUNTERS(X)                                                                                                         \
    X(func_silu, "evaluations", "SiLU evaluations")                                                                            \
    X(func_exp, "evaluations", "exp evaluations (softmax, j <= i only)")                                                       \
    X(func_recip, "evaluations", "reciprocal evaluations (one per softmax row)")                                               \
    X(func_rsqrt, "evaluations", "reciprocal square roots (one per RMSNorm row)")                                              \
    X(func_relu, "evaluations", "ReLU evaluations (tournament maximum)")                                                       \
    X(ots, "OTs", "oblivious transfers (extended)")                                                                            \
    X(triples_elem, "triples", "elementwise Beaver triples")                                                                   \
    X(triples_square, "pairs", "square pairs")                                                                                 \
    X(triples_matrix, "elements", "matrix-triple elements")                                                                    \
    X(triples_bin, "products", "dealt products of two or more bits, one a bit")                                                \
    X(trunc_pairs, "pairs", "truncation correlations consumed")                                                                \
    X(opened_words, "words", "ring words opened by exchange")                                                                  \
    X(rounds_input, "rounds", "rounds, input sharing")                                                                         \
    X(rounds_offline, "rounds", "rounds, offline")                                                                             \
    X(rounds_online, "rounds", "rounds, online")                                                                               \
    X(rounds_output, "rounds", "rounds, output opening")                                                                       \
    X(bytes_input_p0_p1, "B", "bytes P0 to P1, input sharing")                                                                 \
    X(bytes_input_p1_p0, "B", "bytes P1 to P0, input sharing")                                                                 \
    X(bytes_offline_p0_p1, "B", "bytes P0 to P1, offline")                                                                     \
    X(bytes_offline_p1_p0, "B", "bytes P1 to P0, offline")                                                                     \
    X(bytes_offline_d_p0, "B", "bytes dealer to P0, offline")                                                                  \
    X(bytes_offline_d_p1, "B", "bytes dealer to P1, offline")                                                                  \
    X(bytes_online_p0_p1, "B", "bytes P0 to P1, online")                                                                       \
    X(bytes_online_p1_p0, "B", "bytes P1 to P0, online")                                                                       \
    X(bytes_output_p0_p1, "B", "bytes P0 to P1, output opening")                                                               \
    X(bytes_output_p1_p0, "B", "bytes P1 to P0, output opening")

/* X(tag, long name). Every allocation carries a tag; the peak per tag is stored beside the counters as peak_<tag>. */
#define SS_TAGS(X)                                                                                                             \
    X(weights, "model weights (one public copy)")                                                                              \
    X(kv, "key/value cache")                                                                                                   \
    X(shares, "activations or their shares")                                                                                   \
    X(triples, "correlated randomness waiting to be consumed")                                                                 \
    X(tables, "function tables")                                                                                               \
    X(keys, "keys and attestation state")                                                                                      \
    X(buffers, "message and encryption buffers")                                                                               \
    X(workspace, "scratch")

/* X(op, long name): where time, bytes and rounds are booked. */
#define SS_OPS(X)                                                                                                              \
    X(weights, "weight generation or loading")                                                                                 \
    X(offline, "correlated randomness")                                                                                        \
    X(input, "embedding and input sharing")                                                                                    \
    X(attn_norm, "RMSNorm before attention")                                                                                   \
    X(qkv, "QKV projection")                                                                                                   \
    X(rope, "rotary embedding")                                                                                                \
    X(attention, "scores, softmax, values")                                                                                    \
    X(attn_out, "output projection and residual")                                                                              \
    X(ffn_norm, "RMSNorm before the FFN")                                                                                      \
    X(gate_up, "gate and up projections")                                                                                      \
    X(swiglu, "SwiGLU")                                                                                                        \
    X(down, "down projection and residual")                                                                                    \
    X(final_norm, "final RMSNorm")                                                                                             \
    X(lm_head, "LM head")                                                                                                      \
    X(output, "opening of the logits")

enum ss_op {
#define X(op, name) SS_OP_##op,
    SS_OPS(X)
#undef X
        SS_N_OPS
};
enum ss_tag {
#define X(tag, name) SS_TAG_##tag,
    SS_TAGS(X)
#undef X
        SS_N_TAGS
};
enum ss_phase { SS_INPUT, SS_OFFLINE, SS_ONLINE, SS_OUTPUT, SS_N_PHASES };
enum ss_dir { SS_P0_P1, SS_P1_P0, SS_D_P0, SS_D_P1, SS_N_DIRS };

struct ss_counters {
#define X(field, unit, name) int64_t field;
    SS_COUNTERS(X)
#undef X
};
enum {
#define X(field, unit, name) SS_COUNTER_##field,
    SS_COUNTERS(X)
#undef X
        SS_N_COUNTERS
};

struct ss_name {
    const char *name, *unit, *long_name;
};
/* Indexed by position in SS_COUNTERS, by enum ss_tag, enum ss_op, enum ss_dir. */
extern const struct ss_name ss_counter_names[SS_N_COUNTERS];
extern const struct ss_name ss_tag_names[SS_N_TAGS];
extern const struct ss_name ss_op_names[SS_N_OPS];
extern const struct ss_name ss_dir_names[SS_N_DIRS];
extern const struct ss_name ss_phase_names[SS_N_PHASES];

/* The counters as an array of SS_N_COUNTERS values in list order (the struct holds nothing else). */
static inline int64_t *ss_counters_array(struct ss_counters *c)
{
    return (int64_t *)c;
}
static inline const int64_t *ss_counters_values(const struct ss_counters *c)
{
    return (const int64_t *)c;
}
/* Field for the bytes of a phase and direction; NULL where that cannot happen (the dealer sends offline only). */
int64_t *ss_counters_bytes(struct ss_counters *c, enum ss_phase phase, enum ss_dir dir);
int64_t *ss_counters_rounds(struct ss_counters *c, enum ss_phase phase);
/* Sums over phases without and with the dealer's messages. */
int64_t ss_counters_bytes_between(const struct ss_counters *c);
int64_t ss_counters_bytes_total(const struct ss_counters *c);
/* Index of the first counter in which a and b differ, -1 if none. */
int ss_counters_differ(const struct ss_counters *a, const struct ss_counters *b);

/* Bytes and rounds by layer and operation. layer n_layers holds what belongs to no layer. */
struct ss_wire {
    size_t layers;   /* n_layers + 1 */
    int64_t *bytes;  /* (layers, SS_N_OPS, SS_N_DIRS) */
    int64_t *rounds; /* (layers, SS_N_OPS) */
};
int ss_wire_alloc(struct ss_wire *w, size_t layers); /* 0 ok, -1 out of memory */
void ss_wire_clear(struct ss_wire *w);
void ss_wire_free(struct ss_wire *w);
/* Summed over layers and operations the wire is what the counters say over all phases. The first direction whose bytes differ,
   SS_N_DIRS for the rounds, -1: none. */
int ss_wire_differs(const struct ss_wire *w, const struct ss_counters *c);
#endif
