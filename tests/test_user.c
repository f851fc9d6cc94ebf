/* test_user.c — what a user types, mistypes and names: the real program on files of a folder of its own. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/model.h"
#include "tests/program.h"

static char dir[] = "/tmp/ss_user_XXXXXX";

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s, (void)kind, (void)where;
    return remove(path);
}

static void enter(void)
{
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void leave(void)
{
    cr_assert_eq(chdir("/"), 0);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    cr_assert_eq(fclose(f), 0);
}

static void expect_holds(const char *name, const char *text)
{
    char there[256] = "";
    FILE *f = fopen(name, "r");
    cr_assert_not_null(f, "%s", name);
    there[fread(there, 1, sizeof there - 1, f)] = '\0';
    fclose(f);
    cr_expect_str_eq(there, text, "%s was changed", name);
}

#define FORWARD "forward --weights tiny-lm --ids ids.txt "

Test(user, flags_that_mean_nothing_are_refused, .init = enter, .fini = leave)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {FORWARD "-E 'model==x'", "forward takes no -E"},
        {FORWARD "--results r", "forward takes no --results"},
        {FORWARD "--timeout 5", "--timeout"},
        {FORWARD "--variant v3 --party 0 --listen 127.0.0.1:1 --dealer 127.0.0.1:2 --timeout 1", "--timeout = '1'"},
        {"eval --weights tiny-lm --ids ids.txt --results r", "eval takes no --results"},
        {"compare a b --results r", "compare takes no --results"},
        {"merge a.h5 b --results r", "merge takes no --results"},
        {"doctor -E 'model==tiny-lm'", "doctor takes no -E"},
        {"attest -o json", "attest takes no -o"},
        {"check -o xml", "-o xml"},
        {"list --results ids.txt", "is no folder"},
        {FORWARD "--variant v3-cc --party 0 --listen 127.0.0.1:65536", "a port is at most 65535"},
        {FORWARD "--variant v2 --variant v3", "--variant is given twice"},
        {FORWARD "--variant v3-ot --set entries=256 --set entries=512", "--set is given twice for entries"},
        {"run latency -n --set v3-ot.entries=256 --set v3-ot.entries=512", "--set is given twice for v3-ot.entries"},
        {FORWARD "--threads 4294967297", "--threads 4294967297: at most 1024"},
        {"run latency -n --threads 1025", "--threads 1025: at most 1024"},
        {"run latency -n --repeats 0", "--repeats = '0'"},
        {"eval --weights tiny-lm --ids ids.txt --window 2 --stride 0", "--stride = '0'"},
        {"run latency -n --set entris=512", "did you mean 'entries'?"},
        {"run latency -n --set v3ot.entries=512", "did you mean 'v3-ot.entries'?"},
        {"run latency --results ''", "--results has an empty value"},
        {FORWARD "-o ''", "-o has an empty value"},
    };
    put("ids.txt", "1 2 3\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_one_line(cases[i].args, 1, cases[i].says);
}

Test(user, an_output_does_not_replace_a_file_of_another_kind, .init = enter, .fini = leave)
{
    char out[4096];
    put("ids.txt", "1 2 3\n");
    expect_one_line(FORWARD "-o ids.txt", 1, "ids.txt is there already and is no HDF5 file");
    expect_one_line("merge ids.txt somewhere", 1, "ids.txt is there already and is no HDF5 file");
    expect_holds("ids.txt", "1 2 3\n");
    put("logits.h5", "");
    cr_expect_eq(program(FORWARD, out, sizeof out), 0, "%s", out);
    cr_expect_eq(program(FORWARD, out, sizeof out), 0, "an older output is replaced: %s", out);
}

Test(user, a_named_file_that_is_no_result_is_not_to_be_deleted, .init = enter, .fini = leave)
{
    put("ids.txt", "1 2 3\n");
    char out[4096];
    cr_expect_eq(program("export csv --results ids.txt", out, sizeof out), 6, "%s", out);
    cr_expect(strstr(out, "ids.txt: truncated, or not an HDF5 file") && !strstr(out, "delete"), "%s", out);
}

Test(user, a_byte_order_mark_is_named, .init = enter, .fini = leave)
{
    put("ids.txt", "\xef\xbb\xbf"
                   "1 2 3\n");
    expect_one_line(FORWARD, 1, "byte order mark");
}

Test(user, a_full_stdout_is_no_success, .init = enter, .fini = leave)
{
    char out[4096], args[2048];
    cr_expect_eq(program("list > /dev/full", out, sizeof out), 5);
    snprintf(args, sizeof args, "export csv --results '%s/results/reference/cpu' > /dev/full", ss_home());
    cr_expect_eq(program(args, out, sizeof out), 5, "more than one buffer");
}

/* An experiment of two cells with `from` replaced by `to`. */
static void put_experiment(const char *name, const char *from, const char *to)
{
    static const char base[] =
        "[experiment]\ntitle = T\nsection = 9.9\nquestion = Q?\n"
        "[axes]\nmodel = tiny-lm\nvariant = plain\ntokens = 3\nphase = prefill\n"
        "[effort]\nwarmup = 0\nreps_min = 1\nreps_max = 1\ntarget = 0.01\nmax_seconds = 1\nresident_gb = 1\n"
        "[table.T1]\ntitle = t\ncolumns = model, online_ms\n"
        "[figure.F1]\ntitle = f\nkind = lines\nx = tokens\ny = online_ms\nseries = variant\nxlabel = x\nylabel = y\n";
    char text[2048];
    const char *at = strstr(base, from);
    cr_assert_not_null(at, "%s", from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    put(name, text);
}

Test(user, what_a_report_could_not_show_is_refused_before_the_sweep, .init = enter, .fini = leave)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"tokens = 3", "tokens = 0", "a cell has 1 to"},
        {"tokens = 3", "tokens = 99999999999", "a cell has 1 to"},
        {"model, online_ms", "model, onlin_ms", "[table.T1] columns: no column 'onlin_ms'; did you mean 'online_ms'?"},
        {"kind = lines", "kind = linez", "[figure.F1] kind 'linez' is not known; did you mean 'lines'?"},
        {"kind = lines", "kind = ../plots/lines", "is not known"},
        {"x = tokens", "x = tokns", "[figure.F1] x: no column 'tokns'"},
        {"y = online_ms", "y = online_m", "[figure.F1] y: no column 'online_m'"},
        {"series = variant", "series = varint", "[figure.F1] series: no column 'varint'"},
        {"[table.T1]", "[table.]", "the id becomes a file name"},
        {"[table.T1]", "[table.../../T1]", "the id becomes a file name"},
        {"[figure.F1]", "[figure.a b]", "the id becomes a file name"},
    };
    char out[4096];
    put_experiment("mine.ini", "T", "T");
    cr_expect_eq(program("run mine.ini -n", out, sizeof out), 0, "%s", out);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_experiment("mine.ini", cases[i].from, cases[i].to);
        expect_one_line("run mine.ini --results r", 1, cases[i].says);
        cr_expect_neq(access("r", F_OK), 0, "nothing is made for it");
    }
}

Test(user, a_cell_under_another_cells_name_is_measured_again, .init = enter, .fini = leave)
{
    char out[8192];
    put_experiment("mine.ini", "T", "T");
    cr_assert_eq(program("run mine.ini --results r", out, sizeof out), 0, "%s", out);
    cr_assert_eq(system("set -- r/cells/*.h5 && cp $1 $2"), 0);
    cr_expect_eq(program("run mine.ini --results r", out, sizeof out), 0, "%s", out);
    cr_expect(strstr(out, "holds cell") && strstr(out, "; 1 new"), "%s", out);
    cr_expect_eq(program("export csv --results r", out, sizeof out), 0, "%s", out);
}

Test(user, a_checkpoint_of_more_layers_than_its_config_is_refused, .init = enter, .fini = leave)
{
    char command[2048];
    snprintf(
        command, sizeof command,
        "cp -r '%s/tests/data/tiny-lm' m && sed -i 's/\"num_hidden_layers\": [0-9]*/\"num_hidden_layers\": 1/' m/config.json",
        ss_home());
    cr_assert_eq(system(command), 0);
    put("ids.txt", "1 2 3\n");
    expect_one_line("forward --weights m --ids ids.txt", 1,
                    "tensor model.layers.1.self_attn.q_proj.weight is there, but config.json says 1 layers");
}
