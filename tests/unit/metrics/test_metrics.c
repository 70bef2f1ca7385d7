/* test_metrics.c - walks the whole table. Every metric counts, and a strict reader of the test's own reads the output
 * as OpenMetrics. */
#include <stdio.h>

#include "common/metrics/metrics.h"
#include "tests/support/unit.h"

enum { WORKERS = 2 };

static void make(struct metrics storage[WORKERS + 1], const struct metrics *all[WORKERS + 1])
{
    for (int i = 0; i <= WORKERS; i++) {
        metrics_init(&storage[i], i < WORKERS ? i : -1);
        all[i] = &storage[i];
    }
}

/* The value of the one line that starts with sample and a space. Fails if there is not exactly one. */
static double sample_value(struct str text, const char *sample)
{
    size_t found = 0;
    double value = -1;
    while (text.ptr) {
        struct str line = str_split(&text, '\n');
        size_t len = strlen(sample);
        if (line.len > len && memcmp(line.ptr, sample, len) == 0 && line.ptr[len] == ' ') {
            char number[64];
            snprintf(number, sizeof number, "%.*s", (int)(line.len - len - 1), line.ptr + len + 1);
            assert_int_equal(sscanf(number, "%lf", &value), 1);
            found++;
        }
    }
    if (found != 1)
        fail_msg("%zu lines of %s", found, sample);
    return value;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", s.ptr[i]) || (i == 0 && strchr("0123456789", s.ptr[0])))
            return false;
    return s.len > 0;
}

/* Reads {name="value",...}; returns what comes after it. */
static struct str read_labels(struct str s)
{
    if (s.len == 0 || s.ptr[0] != '{')
        return s;
    char before = '{';
    while (s.ptr[0] != '}') {
        assert_int_equal(s.ptr[0], before);
        s = str_from(s.ptr + 1, s.len - 1);
        const char *equals = memchr(s.ptr, '=', s.len);
        assert_non_null(equals);
        assert_true(is_name(str_from(s.ptr, (size_t)(equals - s.ptr))));
        assert_int_equal(equals[1], '"');
        const char *quote = memchr(equals + 2, '"', s.len - (size_t)(equals + 2 - s.ptr));
        assert_non_null(quote);
        s = str_from(quote + 1, s.len - (size_t)(quote + 1 - s.ptr));
        assert_true(s.len > 0);
        before = ',';
    }
    return str_from(s.ptr + 1, s.len - 1);
}

static const struct metric_row *row_named(struct str name)
{
    for (size_t i = 0; i < METRIC_COUNT; i++)
        if (str_eq_cstr(name, metric_rows[i].name))
            return &metric_rows[i];
    return NULL;
}

/* A sample belongs to the family named last, with a suffix that its kind has. */
static void check_sample(struct str line, const struct metric_row *row)
{
    static const char *const suffixes[4][4] = {[METRIC_COUNTER] = {"_total"},
                                               [METRIC_GAUGE] = {""},
                                               [METRIC_HISTOGRAM] = {"_bucket", "_sum", "_count"},
                                               [METRIC_INFO] = {"_info"}};
    size_t len = strcspn(line.ptr, "{ \n");
    struct str name = str_from(line.ptr, len);
    assert_true(str_starts_with(name, str_from_cstr(row->name)));
    struct str suffix = str_from(name.ptr + strlen(row->name), name.len - strlen(row->name));
    bool known = false;
    for (int i = 0; i < 4 && suffixes[row->kind][i]; i++)
        known |= str_eq_cstr(suffix, suffixes[row->kind][i]);
    if (!known)
        fail_msg("not a sample of %s: %.*s", row->name, STR_ARG(line));
    struct str rest = read_labels(str_from(line.ptr + len, line.len - len));
    assert_true(rest.len >= 2 && rest.ptr[0] == ' ');
    for (size_t i = 1; i < rest.len; i++)
        assert_non_null(strchr("-0123456789.", rest.ptr[i]));
}

static void the_text_is_openmetrics(void **state)
{
    (void)state;
    static struct metrics storage[WORKERS + 1];
    const struct metrics *all[WORKERS + 1];
    make(storage, all);
    struct buf out = {0};
    metrics_write(&out, all, WORKERS + 1, "1.2.3");
    assert_true(out.len > 6 && memcmp(out.ptr + out.len - 6, "# EOF\n", 6) == 0);
    struct str text = str_from(out.ptr, out.len - 6);
    const struct metric_row *row = NULL;
    size_t families = 0;
    while (text.len > 0) {
        struct str line = str_split(&text, '\n');
        if (str_starts_with(line, STR("# TYPE "))) {
            struct str rest = str_from(line.ptr + 7, line.len - 7);
            row = row_named(str_split(&rest, ' '));
            assert_non_null(row);
            assert_ptr_equal(row, &metric_rows[families]); /* each once, in the table's order */
            families++;
        } else if (line.ptr[0] == '#') {
            char expected[128];
            snprintf(expected, sizeof expected, "# %s %s ", line.ptr[2] == 'U' ? "UNIT" : "HELP", row->name);
            assert_true(str_starts_with(line, str_from_cstr(expected)));
        } else {
            assert_non_null(row);
            check_sample(line, row);
        }
    }
    assert_int_equal(families, METRIC_COUNT);
    assert_int_equal((int)sample_value(buf_str(&out), "carillon_build_info{version=\"1.2.3\"}"), 1);
    buf_fini(&out);
}

static void names_follow_the_conventions(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        struct str name = str_from_cstr(row->name);
        assert_true(is_name(name));
        assert_true(str_starts_with(name, STR("carillon_")) || str_starts_with(name, STR("process_")));
        assert_null(strstr(row->name, "_total")); /* added when written */
        if (row->kind == METRIC_HISTOGRAM)
            assert_non_null(strstr(row->name, "_seconds"));
        assert_int_equal(row->text[strlen(row->text) - 1], '.');
        assert_null(strchr(row->text, '\n'));
        assert_ptr_equal(row_named(name), row); /* no name twice */
    }
}

/* Every series of every metric has cells of its own: each gets another number, and all come out. */
static void each_series_counts_for_itself(void **state)
{
    (void)state;
    static struct metrics storage[WORKERS + 1];
    const struct metrics *all[WORKERS + 1];
    make(storage, all);
    uint64_t n = 1;
    for (size_t i = 0; i < METRIC_COUNT; i++)
        for (unsigned label = 0;
             metric_rows[i].kind != METRIC_HISTOGRAM && label < metric_rows[i].size[0] * metric_rows[i].size[1];
             label++)
            for (int w = 0; w <= WORKERS; w++)
                metrics_add_labelled(&storage[w], (enum metric)i, label, n++);
    n = 1;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        for (unsigned label = 0; row->kind != METRIC_HISTOGRAM && label < row->size[0] * row->size[1]; label++) {
            uint64_t sum = 0;
            for (int w = 0; w <= WORKERS; w++)
                sum += n++;
            assert_int_equal(metrics_value(all, WORKERS + 1, (enum metric)i, label), sum);
        }
    }
}

static void sums_labels_and_workers_are_written(void **state)
{
    (void)state;
    static struct metrics storage[WORKERS + 1];
    const struct metrics *all[WORKERS + 1];
    make(storage, all);
    metrics_gauge_add(&storage[0], METRIC_SESSIONS, 3);
    metrics_gauge_add(&storage[1], METRIC_SESSIONS, 1);
    metrics_gauge_add(&storage[1], METRIC_SESSIONS, -2); /* below zero here, right in the sum */
    metrics_add_labelled(&storage[0], METRIC_SESSIONS_CLOSED, REASON_SLOW_CONSUMER, 2);
    metrics_add_labelled2(&storage[1], METRIC_HTTP_REQUESTS, METRICS_ROUTE_PUBLISH, metrics_status(404), 5);
    metrics_set(&storage[1], METRIC_CHANNELS, 7);
    metrics_set(&storage[WORKERS], METRIC_PROCESS_OPEN_FDS, 12);
    struct buf out = {0};
    metrics_write(&out, all, WORKERS + 1, "1");
    struct str text = buf_str(&out);
    assert_int_equal((int)sample_value(text, "carillon_sessions"), 2);
    assert_int_equal((int)sample_value(text, "carillon_sessions_closed_total{reason=\"slow_consumer\"}"), 2);
    assert_int_equal((int)sample_value(text, "carillon_http_requests_total{route=\"publish\",status=\"4xx\"}"), 5);
    assert_int_equal((int)sample_value(text, "carillon_channels{worker=\"0\"}"), 0);
    assert_int_equal((int)sample_value(text, "carillon_channels{worker=\"1\"}"), 7);
    assert_int_equal((int)sample_value(text, "process_open_fds"), 12);
    assert_null(strstr(buf_cstr(&out), "worker=\"-1\""));
    buf_fini(&out);
}

/* The samples of two routes would be added up under one label, or the text of a route be another one's. */
static void each_route_has_its_label(void **state)
{
    (void)state;
    static struct metrics storage[WORKERS + 1];
    const struct metrics *all[WORKERS + 1];
    make(storage, all);
    for (unsigned i = 0; i < METRICS_ROUTE_COUNT; i++)
        metrics_add_labelled2(&storage[0], METRIC_HTTP_REQUESTS, i, metrics_status(200), i + 1);
    struct buf out = {0};
    metrics_write(&out, all, WORKERS + 1, "1");
    assert_int_equal((int)sample_value(buf_str(&out), "carillon_http_requests_total{route=\"other\",status=\"2xx\"}"),
                     1);
#define ROUTE(method, path, key, symbol, text, function)                                                               \
    assert_int_equal(                                                                                                  \
        (int)sample_value(buf_str(&out), "carillon_http_requests_total{route=\"" text "\",status=\"2xx\"}"),           \
        METRICS_ROUTE_##symbol + 1);
#include "common/protocol/routes.def"
#undef ROUTE
    buf_fini(&out);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    static struct metrics storage[WORKERS + 1];
    const struct metrics *all[WORKERS + 1];
    make(storage, all);
    metrics_observe(&storage[0], METRIC_PUBLISH_LATENCY, 50);       /* on a bound: belongs to it */
    metrics_observe(&storage[1], METRIC_PUBLISH_LATENCY, 51);       /* just above */
    metrics_observe(&storage[1], METRIC_PUBLISH_LATENCY, 20000000); /* above all */
    struct buf out = {0};
    metrics_write(&out, all, WORKERS + 1, "1");
    struct str text = buf_str(&out);
    const char *name = "carillon_publish_latency_seconds";
    static const struct {
        const char *suffix;
        double value;
    } expected[] = {{"_bucket{le=\"0.00005\"}", 1},
                    {"_bucket{le=\"0.0001\"}", 2},
                    {"_bucket{le=\"1.0\"}", 2},
                    {"_bucket{le=\"10.0\"}", 2},
                    {"_bucket{le=\"+Inf\"}", 3},
                    {"_count", 3},
                    {"_sum", 20.000101}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char sample[128];
        snprintf(sample, sizeof sample, "%s%s", name, expected[i].suffix);
        double off = sample_value(text, sample) - expected[i].value;
        assert_true(off < 1e-9 && off > -1e-9);
    }
    sample_value(text, "carillon_loop_lag_seconds_bucket{worker=\"1\",le=\"0.001\"}");
    assert_int_equal(metrics_value(all, WORKERS + 1, METRIC_PUBLISH_LATENCY, 0), 3);
    buf_fini(&out);
}

static void the_reference_names_every_metric(void **state)
{
    (void)state;
    struct buf out = {0};
    metrics_reference(&out);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        assert_non_null(strstr(buf_cstr(&out), metric_rows[i].text));
    buf_fini(&out);
}

static void upstreams_have_labels_up_to_a_number(void **state)
{
    (void)state;
    static struct metrics storage;
    const struct metrics *all[] = {&storage};
    metrics_init(&storage, -1);
    assert_null(metrics_upstream_name(0));
    struct buf before = {0}, after = {0};
    metrics_write(&before, all, 1, "1");
    assert_null(strstr(buf_cstr(&before), "upstream=\""));
    unsigned first = metrics_upstream(STR("a \"b\"\n\\"));
    assert_string_equal(metrics_upstream_name(first), "a__b___");
    assert_int_equal(metrics_upstream(STR("a \"b\"\n\\")), first);
    for (int i = 0; i < 2 * METRICS_SIZE_UPSTREAM; i++) {
        char name[8];
        int len = snprintf(name, sizeof name, "u%d", i);
        unsigned label = metrics_upstream(str_from(name, (size_t)len));
        assert_string_equal(metrics_upstream_name(label), i < METRICS_SIZE_UPSTREAM - 2 ? name : "other");
        metrics_observe_labelled(&storage, METRIC_UPSTREAM_DURATION, label, 70);
    }
    assert_int_equal(metrics_upstream(STR("u3")), metrics_upstream(STR("u3")));
    metrics_write(&after, all, 1, "1");
    sample_value(buf_str(&after), "carillon_upstream_request_duration_seconds_bucket{upstream=\"u3\",le=\"0.0001\"}");
    assert_int_equal(
        (int)sample_value(buf_str(&after), "carillon_upstream_request_duration_seconds_count{upstream=\"other\"}"),
        METRICS_SIZE_UPSTREAM + 2);
    buf_fini(&before);
    buf_fini(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_openmetrics),          cmocka_unit_test(names_follow_the_conventions),
        cmocka_unit_test(each_series_counts_for_itself),    cmocka_unit_test(sums_labels_and_workers_are_written),
        cmocka_unit_test(each_route_has_its_label),         cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(the_reference_names_every_metric), cmocka_unit_test(upstreams_have_labels_up_to_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
