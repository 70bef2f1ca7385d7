/* loading.h - reads the server's own table from a text, flags and variables, for the tests of this folder. */
#ifndef CARILLON_TESTS_UNIT_OPTIONS_LOADING_H
#define CARILLON_TESTS_UNIT_OPTIONS_LOADING_H

#include <stdio.h>

#include "common/base/alloc.h"
#include "server/app/options.h"
#include "tests/support/unit.h"

/* The outcome of one load. */
struct loading {
    enum err err;
    struct options options; /* valid with ERR_NONE */
    struct option_sources sources;
    struct buf messages;
};

static inline struct loading load_text(const char *text)
{
    struct loading l = {0};
    l.err = options_load_text(&options_table, "test.jsonc", str_from_cstr(text), &l.options, &l.sources, &l.messages);
    return l;
}

enum { WORDS_MAX = 16 };

/* Copies, as a program gets them. */
static inline int copy_words(const char *const *words, char *out[WORDS_MAX + 1])
{
    int count = 0;
    for (; words && words[count]; count++) {
        assert_true(count < WORDS_MAX);
        out[count] = xstrdup(words[count]);
    }
    out[count] = NULL;
    return count;
}

/* The lists end with NULL. Either may be NULL. more: the rest of the input; may be NULL. */
static inline struct loading load_words(const char *const *flags, const char *const *env,
                                        const struct options_input *more)
{
    struct loading l = {0};
    char *argv[WORDS_MAX + 1];
    char *environment[WORDS_MAX + 1];
    struct options_input input = more ? *more : (struct options_input){0};
    input.argc = copy_words(flags, argv);
    input.argv = argv;
    input.env = environment;
    copy_words(env, environment);
    l.err = options_load(&options_table, &input, &l.options, &l.sources, &l.messages);
    for (char **word = argv; *word; word++)
        free(*word);
    for (char **word = environment; *word; word++)
        free(*word);
    return l;
}

static inline void load_end(struct loading *l)
{
    if (l->err == ERR_NONE) {
        options_fini(&options_table, &l->options);
        option_sources_fini(&l->sources);
    }
    buf_fini(&l->messages);
}

/* The text is refused, and these are all the messages. */
static inline void assert_refused(const char *text, const char *messages)
{
    struct loading l = load_text(text);
    assert_int_not_equal(l.err, ERR_NONE);
    assert_str(buf_str(&l.messages), messages);
    load_end(&l);
}

static inline void assert_loads(struct loading *l)
{
    if (l->err != ERR_NONE)
        fail_msg("refused: %s", buf_cstr(&l->messages));
}

#endif
