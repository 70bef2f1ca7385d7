/* options_load.c - loads the sources, each over the one before. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_file.h"

enum { CONFIG_FILE_MAX = 4 * 1024 * 1024 };

/* A load on its way. The struct is filled apart and handed over when everything was right. */
struct option_load {
    const struct option_table *table;
    const struct options_input *input;
    void *options;
    struct option_sources *sources;
    struct buf *messages;
    bool good;
    bool wrong_call; /* the mistake is in the words of the call */
};

static size_t row_index(const struct option_table *table, const char *key)
{
    size_t i = 0;
    while (i < table->count && strcmp(table->rows[i].key, key) != 0)
        i++;
    return i;
}

/* One value by text: from a preset, a variable or a flag. */
static void set_value(struct option_load *load, size_t index, bool from_file, const char *text,
                      enum option_origin origin, const char *name)
{
    const struct option_row *row = &load->table->rows[index];
    struct option_place place = {.name = name, .messages = load->messages};
    bool good = from_file ? option_set_from_file(row, str_from_cstr(text), NULL, &place, load->options)
                          : option_set_text(row, str_from_cstr(text), NULL, &place, load->options);
    load->good = load->good && good;
    if (!good && origin == OPTION_FROM_FLAG && !from_file)
        load->wrong_call = true;
    struct option_source *source = &load->sources->of[index];
    *source = (struct option_source){.origin = origin};
    snprintf(source->name, sizeof source->name, "%s", name);
}

static void apply_presets(struct option_load *load, bool over_file)
{
    for (size_t i = 0; i < load->input->preset_count; i++) {
        const struct option_preset *preset = &load->input->presets[i];
        if (preset->over_file == over_file)
            set_value(load, row_index(load->table, preset->key), false, preset->text, OPTION_FROM_PRESET, preset->key);
    }
}

static void apply_file(struct option_load *load, const char *path)
{
    struct buf text = {0};
    struct error error;
    load->sources->file = xstrdup(path);
    if (option_read_file(path, CONFIG_FILE_MAX, &text, &error) != ERR_NONE) {
        buf_appendf(load->messages, "%s\n", error.text);
        load->good = false;
    } else {
        load->good = option_set_file(load->table, path, buf_str(&text), load->input, load->options, load->sources,
                                     load->messages) &&
                     load->good;
    }
    buf_fini(&text);
}

/* The row that a spelled name means: exactly, or with the ending that says the value is in a file. The name is compared
 * with what spell makes of each key. */
static size_t find_spelled(const struct option_table *table, struct str name, struct str file_ending,
                           void (*spell)(struct buf *, const char *), bool *out_from_file)
{
    size_t i;
    struct buf spelled = {0};
    for (i = 0; i < table->count; i++) {
        buf_clear(&spelled);
        spell(&spelled, table->rows[i].key);
        *out_from_file = false;
        if (str_eq(name, buf_str(&spelled)))
            break;
        buf_append(&spelled, file_ending);
        *out_from_file = true;
        if (option_is_secret(table->rows[i].type) && str_eq(name, buf_str(&spelled)))
            break;
    }
    buf_fini(&spelled);
    return i;
}

static const struct option_alias *env_alias(const struct option_table *table, struct str name)
{
    for (size_t i = 0; i < table->alias_count; i++)
        if (table->aliases[i].env && str_eq_cstr(name, table->aliases[i].env))
            return &table->aliases[i];
    return NULL;
}

/* A service called like us makes Kubernetes set <PREFIX>PORT=tcp://..., <PREFIX>SERVICE_HOST and their like in every
 * container beside it: they are not meant for us. */
static bool is_service_link(struct str name, const char *value)
{
    return str_starts_with(name, STR("SERVICE_")) || str_starts_with(name, STR("PORT_")) ||
           (str_eq_cstr(name, "PORT") && strstr(value, "://"));
}

static void apply_variable(struct option_load *load, struct str name, const char *value)
{
    const struct option_table *table = load->table;
    struct str prefix = str_from_cstr(table->env_prefix);
    bool from_file = false;
    char text[96];
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    if (!str_starts_with(name, prefix))
        return;
    struct str rest = str_skip(name, prefix.len);
    if (str_eq_cstr(rest, "CONFIG") || is_service_link(rest, value))
        return;
    size_t index = find_spelled(table, rest, STR("_FILE"), option_env_name, &from_file);
    if (index < table->count)
        set_value(load, index, from_file, value, OPTION_FROM_ENV, text);
    else
        buf_appendf(load->messages, "%s: no option has this name; ignored\n", text);
}

/* Plain names first, so that one with our prefix goes over them. */
static void apply_env(struct option_load *load)
{
    for (char *const *entry = load->input->env; entry && *entry; entry++) {
        struct str value = str_from_cstr(*entry);
        const struct option_alias *alias = env_alias(load->table, str_split(&value, '='));
        if (alias && value.len > 0)
            set_value(load, row_index(load->table, alias->key), false, value.ptr, OPTION_FROM_ENV, alias->env);
    }
    for (char *const *entry = load->input->env; entry && *entry; entry++) {
        struct str value = str_from_cstr(*entry);
        struct str name = str_split(&value, '=');
        if (value.len > 0)
            apply_variable(load, name, value.ptr);
    }
}

static const char *find_env(const struct option_load *load, const char *name)
{
    char variable[96];
    snprintf(variable, sizeof variable, "%s%s", load->table->env_prefix, name);
    for (char *const *entry = load->input->env; entry && *entry; entry++) {
        struct str value = str_from_cstr(*entry);
        if (str_eq_cstr(str_split(&value, '='), variable) && value.len > 0)
            return value.ptr;
    }
    return NULL;
}

/* A word that starts a flag, cut at its '='. */
struct given_flag {
    const char *word;  /* as it was given */
    char *name;        /* "--limits-message-bytes", with dashes only */
    const char *value; /* after '='; NULL: none */
    bool from_file;
    size_t row;         /* table->count: not an option */
    bool *on;           /* the switch; NULL: it is none */
    const char **taken; /* of a word of the command; NULL: it is none */
    bool config;
};

static void flag_read(const struct option_load *load, const char *word, struct given_flag *out)
{
    const struct option_table *table = load->table;
    const char *equals = strchr(word, '=');
    *out = (struct given_flag){.word = word, .row = table->count, .value = equals ? equals + 1 : NULL};
    out->name = str_dup(str_from(word, equals ? (size_t)(equals - word) : strlen(word)));
    for (char *c = out->name; *c; c++)
        if (*c == '.' || *c == '_')
            *c = '-';
    out->config = strcmp(out->name, "--config") == 0;
    for (size_t i = 0; i < load->input->switch_count; i++)
        if (strcmp(out->name, load->input->switches[i].flag) == 0)
            out->on = load->input->switches[i].out;
    for (size_t i = 0; i < load->input->word_count; i++)
        if (strcmp(out->name, load->input->words[i].flag) == 0)
            out->taken = load->input->words[i].out;
    if (out->config || out->on || out->taken || strncmp(out->name, "--", 2) != 0)
        return;
    for (size_t i = 0; i < table->alias_count && out->row == table->count; i++)
        if (table->aliases[i].flag && strcmp(out->name, table->aliases[i].flag) == 0)
            out->row = row_index(table, table->aliases[i].key);
    if (out->row == table->count)
        out->row = find_spelled(table, str_from_cstr(out->name + 2), STR("-file"), option_flag_name, &out->from_file);
}

static void complain_flag(struct option_load *load, const struct given_flag *flag)
{
    char quoted[ERROR_QUOTE_LEN];
    load->good = false;
    load->wrong_call = true;
    if (flag->word[0] != '-') {
        buf_appendf(load->messages, "unexpected word %s; a configuration file is given with --config FILE\n",
                    error_quote(str_from_cstr(flag->word), quoted));
        return;
    }
    struct str name = str_from_cstr(flag->name);
    struct str bare = str_starts_with(name, STR("--")) ? str_skip(name, 2) : name;
    const struct option_row *near = option_nearest(load->table, bare);
    struct buf hint = {0};
    error_quote(name, quoted);
    if (option_is_near(bare, STR("config"))) {
        buf_appendf(load->messages, "unknown flag %s; did you mean --config?\n", quoted);
    } else if (near) {
        option_flag_name(&hint, near->key);
        buf_appendf(load->messages, "unknown flag %s; did you mean --%s?\n", quoted, buf_cstr(&hint));
    } else {
        buf_appendf(load->messages, "unknown flag %s; --help lists them\n", quoted);
    }
    buf_fini(&hint);
}

/* The word after an unknown flag is taken for its value, which is not another mistake. */
static bool takes_a_word(const struct given_flag *flag, const char *next)
{
    return !flag->on && flag->word[0] == '-' && next[0] != '-';
}

/* The flags. In the first pass only --config is looked at and returned, because the file comes under the flags. */
static const char *apply_flags(struct option_load *load, bool first_pass)
{
    const char *config = NULL;
    for (int i = 0; i < load->input->argc && load->input->argv[i]; i++) {
        struct given_flag flag;
        flag_read(load, load->input->argv[i], &flag);
        const char *next = i + 1 < load->input->argc ? load->input->argv[i + 1] : NULL;
        bool known = flag.config || flag.taken || flag.row < load->table->count;
        bool is_bool = flag.row < load->table->count && load->table->rows[flag.row].type == OPTION_BOOL;
        if (known && !flag.value && is_bool && (!next || *next == '-'))
            flag.value = "true";
        else if (!flag.value && next && (known || takes_a_word(&flag, next))) {
            flag.value = next;
            i++;
        }
        if (first_pass) {
            config = flag.config && flag.value ? flag.value : config;
        } else if (flag.on && !flag.value) {
            *flag.on = true;
        } else if (!known) {
            complain_flag(load, &flag);
        } else if (!flag.value) {
            buf_appendf(load->messages, "%s: a value is expected after it\n", flag.name);
            load->good = false;
            load->wrong_call = true;
        } else if (flag.taken) {
            *flag.taken = flag.value;
        } else if (!flag.config) {
            set_value(load, flag.row, flag.from_file, flag.value, OPTION_FROM_FLAG, flag.name);
        }
        free(flag.name);
    }
    return config;
}

static enum err finish(struct option_load *load, void *out, struct option_sources *out_sources)
{
    if (load->good) {
        memcpy(out, load->options, load->table->size);
        *out_sources = *load->sources;
    } else {
        options_fini(load->table, load->options);
        option_sources_fini(load->sources);
    }
    free(load->options);
    return load->good ? ERR_NONE : ERR_INVALID_REQUEST;
}

enum err options_load(const struct option_table *table, const struct options_input *input, void *out,
                      struct option_sources *out_sources, struct buf *messages)
{
    struct option_sources sources = {0};
    struct option_load load = {table, input, xcalloc(1, table->size), &sources, messages, .good = true};
    option_set_defaults(table, load.options);
    const char *config = apply_flags(&load, true);
    if (!config)
        config = find_env(&load, "CONFIG");
    apply_presets(&load, false);
    if (config)
        apply_file(&load, config);
    apply_presets(&load, true);
    apply_env(&load);
    apply_flags(&load, false);
    if (input->wrong_call)
        *input->wrong_call = load.wrong_call;
    return finish(&load, out, out_sources);
}

enum err options_load_text(const struct option_table *table, const char *name, struct str text, void *out,
                           struct option_sources *out_sources, struct buf *messages)
{
    struct option_sources sources = {0};
    struct options_input input = {0};
    struct option_load load = {table, &input, xcalloc(1, table->size), &sources, messages, .good = true};
    option_set_defaults(table, load.options);
    sources.file = xstrdup(name);
    load.good = option_set_file(table, name, text, &input, load.options, &sources, messages);
    return finish(&load, out, out_sources);
}

void option_sources_fini(struct option_sources *sources)
{
    for (size_t i = 0; i < sources->lines.count; i++)
        free(sources->lines.items[i].path);
    free(sources->lines.items);
    free(sources->file);
    sources->lines = (struct option_lines){0};
    sources->file = NULL;
}

/* The row that a key is, or leads into: "endpoints" of "endpoints[2].path". */
static size_t row_around(const struct option_table *table, const char *key)
{
    size_t best = table->count;
    size_t longest = 0;
    for (size_t i = 0; i < table->count; i++) {
        size_t len = strlen(table->rows[i].key);
        if (len > longest && strncmp(key, table->rows[i].key, len) == 0 && (!key[len] || strchr(".[", key[len]))) {
            best = i;
            longest = len;
        }
    }
    return best;
}

/* The line of a member of a record, or of the nearest thing around it that has one; 0: nothing has. */
static unsigned line_of(const struct option_lines *lines, const char *key)
{
    size_t longest = 0;
    unsigned line = 0;
    for (size_t i = 0; i < lines->count; i++) {
        const char *path = lines->items[i].path;
        size_t len = strlen(path);
        if (len > longest && strncmp(key, path, len) == 0 && (!key[len] || strchr(".[", key[len]))) {
            longest = len;
            line = lines->items[i].line;
        }
    }
    return line;
}

const char *option_source_text(const struct option_table *table, const struct option_sources *sources, const char *key,
                               char out[512])
{
    size_t index = row_around(table, key);
    const struct option_source *source = &sources->of[index < table->count ? index : 0];
    if (index == table->count || source->origin == OPTION_FROM_DEFAULT) {
        snprintf(out, 512, "default");
    } else if (source->origin == OPTION_FROM_PRESET) {
        snprintf(out, 512, "set by the command");
    } else if (source->origin == OPTION_FROM_FILE) {
        unsigned line = line_of(&sources->lines, key);
        snprintf(out, 512, "%.480s:%u", sources->file, line ? line : source->line);
    } else {
        snprintf(out, 512, "%s", source->name);
    }
    return out;
}

size_t options_changed(const struct option_table *table, const void *running, const void *fresh, struct buf *out_keys)
{
    size_t changed = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct buf a = {0};
        struct buf b = {0};
        option_append_json(&a, &table->rows[i], running, false);
        option_append_json(&b, &table->rows[i], fresh, false);
        if (!table->rows[i].live && !str_eq(buf_str(&a), buf_str(&b)))
            buf_appendf(out_keys, "%s%s", changed++ ? ", " : "", table->rows[i].key);
        buf_fini(&a);
        buf_fini(&b);
    }
    return changed;
}

void options_keep(const struct option_table *table, void *running, void *fresh)
{
    char kept[sizeof(struct option_list)];
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        size_t size = option_member_size(row->type);
        if (row->live)
            continue;
        memcpy(kept, option_member(row, running), size);
        memcpy(option_member(row, running), option_member(row, fresh), size);
        memcpy(option_member(row, fresh), kept, size);
    }
}
