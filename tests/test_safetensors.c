/* Reading safetensors: exact values, and every kind of broken file refused. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/model.h"
#include "harness/philox.h"
#include "harness/safetensors.h"
#include "tests/scratch.h"

static char dir[SCRATCH_PATH], path[128];

static void begin(void)
{
    ss_set_error_silent(1);
    scratch_dir(dir);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
}

TestSuite(safetensors, .init = begin);

static void put(const char *file, const void *bytes, size_t n)
{
    char p[128];
    snprintf(p, sizeof p, "%s/%s", dir, file);
    FILE *f = fopen(p, "wb");
    cr_assert(f != NULL);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* length || header || data bytes 0, 1, 2, ... */
static size_t compose(uint8_t *out, const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++)
        out[8 + n + i] = (uint8_t)i;
    return 8 + n + data_bytes;
}

static enum ss_err open_header(struct ss_safetensors **st, const char *header, size_t data_bytes)
{
    uint8_t file[8192];
    put("model.safetensors", file, compose(file, header, data_bytes));
    return ss_safetensors_open_file(st, path);
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                           "\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]},"
                           "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[32,32]}}";

Test(safetensors, finds_tensors_with_shape_and_data)
{
    struct ss_safetensors *st;
    cr_assert_eq(open_header(&st, good, 32), SS_OK, "%s", ss_last_error());
    const struct ss_tensor *b = ss_safetensors_find(st, "b");
    cr_assert(b != NULL);
    cr_expect(b->dtype == SS_DT_F32 && b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 3 && b->bytes == 24);
    cr_expect_eq(*(const uint8_t *)b->data, 8);
    cr_expect(ss_safetensors_find(st, "a") != NULL && ss_safetensors_find(st, "empty") != NULL);
    cr_expect_null(ss_safetensors_find(st, "c"));
    cr_expect_null(ss_safetensors_find(st, "__metadata__"));
    cr_expect_str_eq(ss_safetensors_path(st), path);
    ss_safetensors_close(st);
}

Test(safetensors, test_checkpoint_opens)
{
    char p[1200];
    struct ss_safetensors *st;
    snprintf(p, sizeof p, "%s/tests/data/qwen2-tiny-a", ss_home());
    cr_assert_eq(ss_safetensors_open_dir(&st, p), SS_OK);
    const struct ss_tensor *t = ss_safetensors_find(st, "model.embed_tokens.weight");
    cr_assert(t != NULL);
    cr_expect(t->dtype == SS_DT_BF16 && t->rank == 2 && t->shape[0] == 512 && t->shape[1] == 128);
    ss_safetensors_close(st);
}

/* Every bf16 and every f16, against the compiler's own conversion of f16 and the definition of bf16. */
Test(safetensors, conversions_are_exact)
{
    static uint16_t h[65536];
    static float f[65536];
    for (size_t i = 0; i < 65536; i++)
        h[i] = (uint16_t)i;
    struct ss_tensor t = {.dtype = SS_DT_F16, .rank = 1, .shape = {65536}, .data = h, .bytes = sizeof h};
    ss_tensor_to_f32(f, &t, 0, 65536);
    for (size_t i = 0; i < 65536; i++) {
        _Float16 x;
        memcpy(&x, &h[i], sizeof x);
        cr_assert(f[i] == (float)x || (isnan(f[i]) && isnan((float)x)), "f16 %zx", i);
        cr_assert_eq(signbit(f[i]) != 0, i >= 0x8000, "f16 %zx", i);
    }
    t.dtype = SS_DT_BF16;
    ss_tensor_to_f32(f + 3, &t, 3, 65533);
    for (size_t i = 3; i < 65536; i++) {
        uint32_t bits;
        memcpy(&bits, &f[i], sizeof bits);
        cr_assert_eq(bits, i << 16, "bf16 %zx", i);
    }
    static float source[5] = {1.5f, -0.0f, 0x1p-149f, INFINITY, 3e38f};
    char shifted[sizeof source + 1];
    memcpy(shifted + 1, source, sizeof source);
    t = (struct ss_tensor){.dtype = SS_DT_F32, .rank = 1, .shape = {5}, .data = shifted + 1, .bytes = sizeof source};
    ss_tensor_to_f32(f, &t, 1, 4);
    cr_expect(memcmp(f, source + 1, 4 * sizeof *f) == 0);
}

Test(safetensors, bad_headers_are_named)
{
    static const struct {
        const char *header, *says;
    } bad[] = {
        {"[1]", "not a JSON object"},
        {"{", "not a JSON object"},
        {"", "not a JSON object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]}}",
         "duplicate"},
        {"{\"a\":5}", "tensor a: its dtype"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[8],\"data_offsets\":[0,32]}}", "its dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,32]}}", "its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,8],\"data_offsets\":[0,32]}}", "more than 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-8],\"data_offsets\":[0,32]}}", "impossible size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[8.0],\"data_offsets\":[0,32]}}", "impossible size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,32]}}", "impossible size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[8]}}", "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[32,0]}}", "run backwards"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32,1]}}", "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,36]}}", "behind the end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[0,32]}}", "disagree"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[0,28]}}", "4 bytes after the last"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[4,32]}}", "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[12,32]}}",
         "overlaps"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ss_safetensors *st;
        cr_expect_eq(open_header(&st, bad[i].header, 32), SS_USAGE, "%s", bad[i].header);
        cr_expect(strstr(ss_last_error(), bad[i].says) != NULL, "'%s' lacks '%s'", ss_last_error(), bad[i].says);
        cr_expect(strstr(ss_last_error(), path) != NULL, "'%s' lacks the file", ss_last_error());
        cr_expect_null(st);
    }
    char name[300] = "{\"", *p = name + 2;
    memset(p, 'n', 200);
    strcpy(p + 200, "\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]}}");
    struct ss_safetensors *st;
    cr_expect_eq(open_header(&st, name, 32), SS_USAGE);
}

Test(safetensors, things_that_are_no_files_are_refused)
{
    struct ss_safetensors *st;
    cr_expect_eq(ss_safetensors_open_file(&st, "/nowhere"), SS_USAGE);
    cr_expect_eq(ss_safetensors_open_file(&st, "/tmp"), SS_USAGE);
    cr_expect_eq(ss_safetensors_open_file(&st, "/dev/zero"), SS_USAGE);
    cr_expect_eq(ss_safetensors_open_dir(&st, dir), SS_USAGE, "an empty directory");
    cr_expect(strstr(ss_last_error(), "neither model.safetensors nor") != NULL);
    put("model.safetensors", "", 0);
    cr_expect_eq(ss_safetensors_open_dir(&st, dir), SS_USAGE);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(ss_safetensors_open_dir(&st, dir), SS_USAGE);
}

/* A real checkpoint cut at every 64th byte of its header and around the border to the data and the end. */
Test(safetensors, truncated_files_are_refused)
{
    char source[1200], *bytes;
    struct ss_safetensors *st;
    struct stat info;
    snprintf(source, sizeof source, "%s/tests/data/qwen2-tiny-a/model.safetensors", ss_home());
    cr_assert_eq(stat(source, &info), 0);
    size_t n = (size_t)info.st_size, header = 0;
    bytes = malloc(n);
    FILE *f = fopen(source, "rb");
    cr_assert(f != NULL);
    cr_assert_eq(fread(bytes, 1, n, f), n);
    fclose(f);
    for (int i = 0; i < 8; i++)
        header |= (size_t)(uint8_t)bytes[i] << 8 * i;
    put("model.safetensors", bytes, n);
    free(bytes);
    cr_expect_eq(ss_safetensors_open_file(&st, path), SS_OK);
    ss_safetensors_close(st);
    for (size_t cut = n; cut-- > 0;) {
        bool near = cut > n - 70 || (cut > 8 + header - 70 && cut < 8 + header + 70) || cut < 70;
        if (!near && (cut % 64 != 0 || cut > header + 8))
            continue;
        cr_assert_eq(truncate(path, (off_t)cut), 0);
        cr_assert_eq(ss_safetensors_open_file(&st, path), SS_USAGE, "cut at %zu", cut);
    }
}

/* Bytes flipped in length and header: a clean error, or a file whose tensors lie inside it. */
Test(safetensors, flipped_bytes_never_crash)
{
    uint8_t file[1024], bent[sizeof file];
    size_t n = compose(file, good, 32), opened = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        struct ss_safetensors *st;
        memcpy(bent, file, n);
        for (uint64_t k = 0; k <= i % 4; k++) {
            uint32_t word = ss_philox_word(2, i, k);
            bent[(word >> 8) % (n - 32)] = k == 3 ? '9' : (uint8_t)word;
        }
        put("model.safetensors", bent, n);
        enum ss_err err = ss_safetensors_open_file(&st, path);
        cr_assert(err == SS_OK || err == SS_USAGE);
        if (err != SS_OK)
            continue;
        opened++;
        const struct ss_tensor *t = ss_safetensors_find(st, "a");
        float x[16];
        if (t != NULL && t->dtype == SS_DT_BF16 && t->bytes <= 32)
            ss_tensor_to_f32(x, t, 0, t->bytes / 2);
        ss_safetensors_close(st);
    }
    cr_expect(opened > 0 && opened < 1500, "%zu opened", opened);
}

Test(safetensors, shards_of_an_index)
{
    static const char shard[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                "\"z\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}";
    static const char other[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}";
    static const struct {
        const char *index, *says;
    } cases[] = {
        {"{\"metadata\":{},\"weight_map\":{\"b\":\"b.safetensors\",\"a\":\"a.safetensors\"}}", NULL},
        {"{\"weight_map\":{}}", NULL},
        {"{\"weight_map\":{\"b\":\"a.safetensors\"}}", "tensor b is not in a.safetensors"},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", "plain file names"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain file names"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "plain file names"},
        {"{\"weight_map\":{\"a\":3}}", "plain file names"},
        {"{\"weight_map\":{\"a\":\"c.safetensors\"}}", "c.safetensors"},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"a\":\"b.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":[]}", "weight_map"},
        {"{", "weight_map"},
        {"", "weight_map"},
    };
    uint8_t file[1024];
    put("a.safetensors", file, compose(file, shard, 12));
    put("b.safetensors", file, compose(file, other, 12));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ss_safetensors *st;
        put("model.safetensors.index.json", cases[i].index, strlen(cases[i].index));
        enum ss_err err = ss_safetensors_open_dir(&st, dir);
        cr_assert_eq(err, cases[i].says == NULL ? SS_OK : SS_USAGE, "%s: %s", cases[i].index, ss_last_error());
        if (cases[i].says != NULL) {
            cr_expect(strstr(ss_last_error(), cases[i].says) != NULL, "'%s' lacks '%s'", ss_last_error(), cases[i].says);
            continue;
        }
        const struct ss_tensor *a = ss_safetensors_find(st, "a");
        if (i == 0)
            cr_expect(a != NULL && a->bytes == 8, "a comes from the shard that the index names");
        else
            cr_expect_null(a);
        cr_expect_null(ss_safetensors_find(st, "z"), "not in the index");
        ss_safetensors_close(st);
    }
}
