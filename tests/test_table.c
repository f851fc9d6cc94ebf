/* test_table.c — tables as Markdown, CSV, LaTeX and JSON; the strict CSV reader; numbers as people write them. */
#include "harness/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/csv.h"
#include "tests/scratch.h"

static void make(struct ss_table *t)
{
    *t = (struct ss_table){0};
    ss_table_column(t, "name", "a|b & c", false);
    ss_table_column(t, "bytes", "size_of", true);
    ss_table_row(t);
    ss_table_set(t, 0, "x|y & 5% _z_ <b>", NULL);
    ss_table_set(t, 1, "12288", "12.29 kB");
    ss_table_row(t);
    ss_table_set(t, 0, "say \"no\", twice", NULL);
}

Test(table, markdown_escapes_pipes_and_markup)
{
    struct ss_table t;
    struct ss_text out = {0};
    make(&t);
    ss_table_md(&t, &out);
    cr_assert_str_eq(ss_text_str(&out), "| a\\|b &amp; c | size\\_of |\n|---|---:|\n"
                                        "| x\\|y &amp; 5% \\_z\\_ &lt;b> | 12.29 kB |\n| say \"no\", twice |  |\n");
    ss_text_free(&out);
    ss_table_free(&t);
}

Test(table, csv_holds_exact_values_and_quotes)
{
    struct ss_table t;
    struct ss_text out = {0};
    make(&t);
    ss_table_csv(&t, &out);
    cr_assert_str_eq(ss_text_str(&out), "name,bytes\nx|y & 5% _z_ <b>,12288\n\"say \"\"no\"\", twice\",\n");
    ss_text_free(&out);
    ss_table_free(&t);
}

Test(table, latex_escapes_its_specials)
{
    struct ss_table t;
    struct ss_text out = {0};
    make(&t);
    ss_table_tex(&t, "a 100% & more", &out);
    cr_assert_not_null(strstr(ss_text_str(&out), "% a 100\\% \\& more\n\\begin{tabular}{lr}"));
    cr_assert_not_null(strstr(ss_text_str(&out), "x$\\vert$y \\& 5\\% \\_z\\_ $<$b$>$ & 12.29 kB \\\\"));
    ss_text_free(&out);
    ss_table_free(&t);
}

Test(table, json_has_numbers_strings_and_null)
{
    struct ss_table t;
    struct ss_text out = {0};
    make(&t);
    ss_table_json(&t, &out);
    cr_assert_str_eq(ss_text_str(&out), "[\n  {\"name\": \"x|y & 5% _z_ <b>\", \"bytes\": 12288},\n"
                                        "  {\"name\": \"say \\\"no\\\", twice\", \"bytes\": null}\n]\n");
    ss_text_free(&out);
    ss_table_free(&t);
}

/* Reads `text` as a file with columns a,b; the error's message afterwards is ss_last_error(). */
static enum ss_err read_csv(struct ss_csv *csv, const char *text)
{
    static const char *const header[] = {"a", "b", NULL};
    char path[SCRATCH_PATH];
    scratch_file(path, "table.csv");
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
    ss_set_error_silent(1);
    ss_clear_error();
    enum ss_err err = ss_csv_read(csv, path, header);
    ss_set_error_silent(0);
    return err;
}

Test(csv, reads_quotes_commas_line_ends_and_comments)
{
    struct ss_csv csv;
    cr_assert_eq(read_csv(&csv, "# what\na,b\n1,\"x, \"\"y\"\"\"\r\n\n# more\n\"two\nlines\",\n,last"), SS_OK);
    cr_assert_eq(csv.rows, 3);
    cr_assert_str_eq(ss_csv_get(&csv, 0, 1), "x, \"y\"");
    cr_assert_str_eq(ss_csv_get(&csv, 1, 0), "two\nlines");
    cr_assert_str_eq(ss_csv_get(&csv, 1, 1), "");
    cr_assert_str_eq(ss_csv_get(&csv, 2, 1), "last");
    cr_assert_eq(csv.line[2], 8);
    ss_csv_free(&csv);
}

Test(csv, names_the_line_of_each_defect)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"a,b\n1,2\n3\n", ":3: 1 fields instead of 2"},
        {"a,b\n1,2,3\n", ":2: more than 2 fields"},
        {"a,b\n1,\"open\n\n", ":2: a quote is not closed"},
        {"a,b\n1,x\"y\n", ":2: a quote inside"},
        {"a,b\n\"x\"y,1\n", ":2: text after a closing"},
        {"a,c\n1,2\n", "column 2 is 'c', not 'b'"},
        {"", "empty"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ss_csv csv;
        cr_assert_eq(read_csv(&csv, bad[i].text), SS_USAGE, "%s", bad[i].text);
        cr_assert_not_null(strstr(ss_last_error(), bad[i].says), "'%s' lacks '%s'", ss_last_error(), bad[i].says);
    }
}

Test(text, numbers_are_readable)
{
    char out[32];
    ss_print_count(out, sizeof out, -1234567);
    cr_assert_str_eq(out, "-1,234,567");
    ss_print_count(out, sizeof out, 999);
    cr_assert_str_eq(out, "999");
    ss_print_bytes(out, sizeof out, 12288);
    cr_assert_str_eq(out, "12.29 kB");
    ss_print_bytes(out, sizeof out, 999);
    cr_assert_str_eq(out, "999 B");
    ss_print_bytes(out, sizeof out, 999960);
    cr_assert_str_eq(out, "1 MB");
    ss_print_real(out, sizeof out, 0.00021);
    cr_assert_str_eq(out, "2.10e-04");
    ss_print_real(out, sizeof out, 521696);
    cr_assert_str_eq(out, "521,696");
}

Test(text, base64_known_answer)
{
    struct ss_text t = {0};
    ss_text_add(&t, "data:");
    ss_text_base64(&t, "foobar!", 7); /* RFC 4648, with one byte more */
    cr_assert_str_eq(ss_text_str(&t), "data:Zm9vYmFyIQ==");
    ss_text_free(&t);
}
