/* option_table.h - the option engine. A table of rows goes in; a filled struct comes out, with the source of each
 * value. Help, reference page, JSON Schema and sample file are made from the same table. The engine knows no particular
 * option. It reads files and nothing else. One thread at a time for each struct.
 *
 * The sources, each over the one before:
 * 1. defaults;
 * 2. presets of the command;
 * 3. a file of JSON with comments (slash-slash and slash-star; a comma may follow the last item);
 * 4. presets of the command that go over the file;
 * 5. the environment;
 * 6. flags.
 * A list replaces the whole list of an earlier source.
 *
 * A key is "name", "group.name" or "group.inner.name". The file nests groups, the environment has PREFIX_GROUP_NAME,
 * flags are --group-name VALUE or --group.name=VALUE. Rows of type SECRET, SECRETS and URL also take <key>_file: a file
 * with the value. A record that gives the object of a group sets the row "<group>.enabled", if there is one. */
#ifndef CARILLON_OPTIONS_OPTION_TABLE_H
#define CARILLON_OPTIONS_OPTION_TABLE_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum option_type {                  /* in the struct          in a file */
                   OPTION_BOOL,     /* bool                   true */
                   OPTION_INT,      /* uint64_t               10 */
                   OPTION_BYTES,    /* uint64_t               "64k" (k, m, g: powers of 1024) or a number */
                   OPTION_DURATION, /* uint64_t, milliseconds "250ms", "10s", "5m", "1h", "1d"; 0 */
                   OPTION_STRING,   /* char *, never NULL     "text" */
                   OPTION_PATH,     /* char *, never NULL     "file", relative to the configuration file's folder */
                   OPTION_URL,      /* char *, never NULL     "redis://user:password@host"; the password is masked */
                   OPTION_SECRET,   /* char *, never NULL     "text"; masked */
                   OPTION_ENUM,     /* int, index of choices  "choice" */
                   OPTION_STRINGS,  /* struct option_strings  ["one", "two"]; as text also one,two */
                   OPTION_SECRETS,  /* struct option_strings  the same; masked */
                   OPTION_NUMBERS,  /* struct option_numbers  {"name": 10} */
                   OPTION_JSON,     /* char *, never NULL     any JSON, without white space; "" is not set */
                   OPTION_RECORDS,  /* { struct x *items; size_t count; }  [{...}, {...}] */
                   OPTION_MAP,      /* the same               {"name": {...}}; the record's first row is the name */
};

/* A number whose default is "" has this value while it is not set. JSON null unsets it, and JSON. */
#define OPTION_UNSET UINT64_MAX

struct option_strings {
    char **items;
    size_t count;
};

struct option_number {
    char *name;
    uint64_t value;
};

struct option_numbers {
    struct option_number *items;
    size_t count;
};

/* Can the option have this text as its value? If not, the error says what is wrong with it. */
typedef enum err option_check(struct str text, struct error *error);

struct option_row {
    const char *key;
    const char *default_text; /* as in a flag; NULL: must be given (rows of records) */
    const char *min;          /* of the number; of the length in bytes for texts; NULL: none */
    const char *max;
    const char *text;                  /* one sentence */
    const char *example;               /* of one record; NULL: none */
    const char *const *choices;        /* ENUM; also STRINGS: what each may be; ends with NULL */
    option_check *check;               /* each text of STRING, PATH, URL, STRINGS, each name of NUMBERS; NULL: none */
    const struct option_table *record; /* RECORDS, MAP: its rows */
    enum option_type type;
    bool live; /* a reload may change it */
    size_t offset;
};

/* Another name for a row. */
struct option_alias {
    const char *flag; /* "--redis", or NULL */
    const char *env;  /* "REDIS_URL", or NULL */
    const char *key;
};

enum { OPTIONS_MAX = 160 };

/* A name for a set of members. A record that gives the name has them, under the members that it gives itself. */
struct option_template {
    const char *name;
    const char *members; /* an object of JSON */
    const char *text;    /* what it is for: one sentence */
};

struct option_table {
    const struct option_row *rows; /* those of a group next to each other */
    size_t count;                  /* at most OPTIONS_MAX */
    size_t size;                   /* of the struct */
    /* Of a record: the names that its row "preset" takes. */
    const struct option_template *templates;
    size_t template_count;
    /* Of a whole configuration, not of a record: */
    const char *program;    /* "carillon" */
    const char *env_prefix; /* "CARILLON_" */
    const struct option_alias *aliases;
    size_t alias_count;
};

enum option_origin { OPTION_FROM_DEFAULT, OPTION_FROM_PRESET, OPTION_FROM_FILE, OPTION_FROM_ENV, OPTION_FROM_FLAG };

struct option_source {
    enum option_origin origin;
    unsigned line; /* in the file */
    char name[72]; /* the variable or flag */
};

/* The lines of the file in which members of records stand, by paths such as "endpoints[2].limits.channels". */
struct option_lines {
    struct option_line {
        char *path;
        unsigned line;
    } * items;
    size_t count;
};

/* Where the values of one struct came from: one entry a row. */
struct option_sources {
    char *file; /* path as given; NULL: no file */
    struct option_source of[OPTIONS_MAX];
    struct option_lines lines;
};

/* A value that a command gives in place of the table's default. */
struct option_preset {
    const char *key;
    const char *text;
    bool over_file; /* also in place of the file's value */
};

/* A flag without a value, which the command itself understands. */
struct option_switch {
    const char *flag;
    bool *out;
};

/* A flag with a value, which the command itself understands. */
struct option_word {
    const char *flag;
    const char **out; /* set to the word, which is borrowed */
};

/* All borrowed. */
struct options_input {
    int argc; /* words after the command's name */
    char *const *argv;
    char *const *env; /* ends with NULL; NULL: none */
    const struct option_preset *presets;
    size_t preset_count;
    const struct option_switch *switches;
    size_t switch_count;
    const struct option_word *words;
    size_t word_count;
    bool *wrong_call; /* set when a mistake is in the words of the call, not in a file or variable; NULL: nobody asks */
};

/* Fills *out (table->size bytes) and *out_sources. --config FILE or <PREFIX>CONFIG names the file. On failure neither
 * is written, and messages has one line for each mistake. On success messages may have warnings, one on each line:
 * variables with our prefix that name no option. */
enum err options_load(const struct option_table *table, const struct options_input *input, void *out,
                      struct option_sources *out_sources, struct buf *messages);

/* The same from the bytes of one file, with no environment and no flags. name is for messages. */
enum err options_load_text(const struct option_table *table, const char *name, struct str text, void *out,
                           struct option_sources *out_sources, struct buf *messages);

/* Frees what the struct holds, not the struct. */
void options_fini(const struct option_table *table, void *options);
void option_sources_fini(struct option_sources *sources);

/* The source of a row's value: "default", "carillon.jsonc:12", "CARILLON_PORT", "--port". The key may lead into a
 * record: "endpoints[2].path". The source is then that of the member, or of the nearest thing around it that was given.
 * Returns out. */
const char *option_source_text(const struct option_table *table, const struct option_sources *sources, const char *key,
                               char out[512]);

/* Appends the keys of the rows that differ but cannot change in a running process, separated by ", ". Returns how many.
 */
size_t options_changed(const struct option_table *table, const void *running, const void *fresh, struct buf *out_keys);

/* Exchanges the values of all rows that cannot change in a running process, so that fresh has the values in force. */
void options_keep(const struct option_table *table, void *running, void *fresh);

/* --- for people ------------------------------------------------------------------------------------------------- */

/* The settings as a file that can be read back, each with its source in a comment, secrets masked. */
void options_print(const struct option_table *table, const void *options, const struct option_sources *sources,
                   struct buf *out);
/* All flags in columns for --help, each with its default, or with the command's preset in place of it. */
void options_help(const struct option_table *table, const struct option_preset *presets, size_t preset_count,
                  struct buf *out);
/* The reference page, the JSON Schema (2020-12) of the file, and a file with every option commented out. */
void options_reference(const struct option_table *table, struct buf *out);
void options_schema(const struct option_table *table, struct buf *out);
void options_sample(const struct option_table *table, struct buf *out);

#endif
