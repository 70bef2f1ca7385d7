/* metrics_upstreams.c - the names of upstreams as labels: see metrics_labels.h. */
#include <pthread.h>
#include <stdatomic.h>

#include "common/metrics/metrics_labels.h"

enum { NAME_MAX_BYTES = 63, OTHER = METRICS_SIZE_UPSTREAM - 1 };

/* A name never changes once `count` covers it. */
static char names[METRICS_SIZE_UPSTREAM][NAME_MAX_BYTES + 1];
static atomic_uint count; /* of names; above OTHER: there are others too */
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static struct str clean(struct str name, char out[NAME_MAX_BYTES + 1])
{
    size_t len = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    for (size_t i = 0; i < len; i++) {
        char c = name.ptr[i];
        out[i] = c > 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '_';
    }
    out[len] = '\0';
    return str_from(out, len);
}

unsigned metrics_upstream(struct str name)
{
    char cleaned[NAME_MAX_BYTES + 1];
    struct str wanted = clean(name, cleaned);
    pthread_mutex_lock(&adding);
    unsigned known = atomic_load(&count), label = 0;
    while (label < known && label < OTHER && !str_eq_cstr(wanted, names[label]))
        label++;
    if (label == known) {
        const char *text = label == OTHER ? "other" : cleaned;
        memcpy(names[label], text, strlen(text) + 1);
        atomic_store(&count, known + 1);
    }
    pthread_mutex_unlock(&adding);
    return label;
}

const char *metrics_upstream_name(unsigned label)
{
    return label < atomic_load(&count) ? names[label] : NULL;
}
