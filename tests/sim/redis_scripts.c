/* redis_scripts.c - scripts, as Redis runs them: KEYS, ARGV, redis.call, redis.pcall, and the rules by which values
 * go to and fro. A compiled text is kept for the life of the process. The hashes that Redis knows are kept for the
 * run. */
#include <inttypes.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json/json.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

enum { SCRIPTS_MAX = 64, CALL_ARGUMENTS_MAX = 512 };

struct script {
    char hash[41];
    bool known;
    int function; /* in Lua's registry */
};

static lua_State *lua;
static struct script scripts[SCRIPTS_MAX];
static size_t script_count;
static struct store_call *current; /* of the script that runs */

/* ---- values ---- */

static const char *push_answer(lua_State *state, const char *at)
{
    const char *line = at + 1, *end = strstr(line, "\r\n");
    long long number = strtoll(line, NULL, 10);
    switch (*at) {
    case ':': lua_pushnumber(state, (lua_Number)number); return end + 2;
    case '+':
    case '-':
        lua_newtable(state);
        lua_pushlstring(state, line, (size_t)(end - line));
        lua_setfield(state, -2, *at == '+' ? "ok" : "err");
        return end + 2;
    case '$':
        if (number < 0) {
            lua_pushboolean(state, 0);
            return end + 2;
        }
        lua_pushlstring(state, end + 2, (size_t)number);
        return end + 2 + number + 2;
    default:
        at = end + 2;
        if (number < 0) {
            lua_pushboolean(state, 0);
            return at;
        }
        lua_newtable(state);
        for (long long i = 1; i <= number; i++) {
            at = push_answer(state, at);
            lua_rawseti(state, -2, (int)i);
        }
        return at;
    }
}

static void answer_value(lua_State *state, struct buf *out)
{
    size_t len;
    const char *text;
    switch (lua_type(state, -1)) {
    case LUA_TNUMBER: resp_number(out, (int64_t)lua_tonumber(state, -1)); return;
    case LUA_TSTRING:
        text = lua_tolstring(state, -1, &len);
        resp_text(out, str_from(text, len));
        return;
    case LUA_TBOOLEAN:
        if (lua_toboolean(state, -1))
            resp_number(out, 1);
        else
            resp_nothing(out);
        return;
    case LUA_TTABLE: break;
    default: resp_nothing(out); return;
    }
    lua_getfield(state, -1, "err");
    if (lua_isstring(state, -1)) {
        resp_error(out, lua_tostring(state, -1));
        lua_pop(state, 1);
        return;
    }
    lua_pop(state, 1);
    lua_getfield(state, -1, "ok");
    if (lua_isstring(state, -1)) {
        resp_status(out, lua_tostring(state, -1));
        lua_pop(state, 1);
        return;
    }
    lua_pop(state, 1);
    struct buf rows = {0};
    size_t count = 0;
    for (;; count++) {
        lua_rawgeti(state, -1, (int)count + 1);
        if (lua_isnil(state, -1))
            break;
        answer_value(state, &rows);
        lua_pop(state, 1);
    }
    lua_pop(state, 1);
    resp_array(out, count);
    buf_append(out, buf_str(&rows));
    buf_fini(&rows);
}

/* ---- what scripts call ---- */

static int run_command(lua_State *state, bool raises)
{
    struct str argv[CALL_ARGUMENTS_MAX];
    char numbers[CALL_ARGUMENTS_MAX][32];
    size_t argc = (size_t)lua_gettop(state);
    if (argc == 0 || argc > CALL_ARGUMENTS_MAX)
        return luaL_error(state, "wrong number of arguments for redis.call");
    for (size_t i = 0; i < argc; i++) {
        int at = (int)i + 1;
        if (lua_type(state, at) == LUA_TNUMBER) {
            int len = snprintf(numbers[i], sizeof numbers[i], "%.17g", lua_tonumber(state, at));
            argv[i] = str_from(numbers[i], (size_t)len);
        } else if (lua_type(state, at) == LUA_TSTRING) {
            argv[i].ptr = lua_tolstring(state, at, &argv[i].len);
        } else {
            return luaL_error(state, "Lua redis lib command arguments must be strings or integers");
        }
    }
    struct buf out = {0};
    struct store_call call = *current;
    call.argc = argc;
    call.argv = argv;
    call.out = &out;
    if (!store_run(&call)) {
        world_fail("the model Redis has no command %.*s, which a script calls", STR_ARG(argv[0]));
        resp_error(&out, "ERR Unknown Redis command called from script");
    }
    current->dirty |= call.wrote;
    push_answer(state, buf_cstr(&out));
    bool failed = out.ptr[0] == '-';
    buf_fini(&out);
    return failed && raises ? lua_error(state) : 1;
}

static int call(lua_State *state)
{
    return run_command(state, true);
}

static int pcall(lua_State *state)
{
    return run_command(state, false);
}

static int reply_with(lua_State *state, const char *field)
{
    lua_newtable(state);
    lua_pushvalue(state, 1);
    lua_setfield(state, -2, field);
    return 1;
}

static int error_reply(lua_State *state)
{
    return reply_with(state, "err");
}

static int status_reply(lua_State *state)
{
    return reply_with(state, "ok");
}

static void push_json(lua_State *state, struct json_value value)
{
    struct buf scratch = {0};
    struct json_cursor at;
    struct json_value item;
    struct str key, text;
    switch (value.type) {
    case JSON_BOOL: lua_pushboolean(state, value.raw.ptr[0] == 't'); break;
    case JSON_NUMBER: lua_pushnumber(state, strtod(value.raw.ptr, NULL)); break;
    case JSON_STRING:
        if (!json_text(value, &scratch, &text))
            text = STR("");
        lua_pushlstring(state, text.ptr, text.len);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        lua_newtable(state);
        at = json_walk(value);
        for (int i = 1; json_next(&at, &key, &item); i++) {
            if (value.type == JSON_ARRAY)
                lua_pushinteger(state, i);
            else
                lua_pushlstring(state, key.ptr, key.len);
            push_json(state, item);
            lua_rawset(state, -3);
        }
        break;
    default: lua_pushnil(state); break;
    }
    buf_fini(&scratch);
}

/* cjson.decode. */
static int decode(lua_State *state)
{
    struct json_value value;
    struct str text;
    text.ptr = luaL_checklstring(state, 1, &text.len);
    if (json_check(text, NULL, &value, NULL))
        return luaL_error(state, "not JSON");
    push_json(state, value);
    return 1;
}

/* ---- scripts ---- */

static struct script *find(struct str hash)
{
    for (size_t i = 0; i < script_count; i++)
        if (str_eq_cstr(hash, scripts[i].hash))
            return &scripts[i];
    return NULL;
}

bool scripts_knows(struct str hash)
{
    const struct script *script = find(hash);
    return script && script->known;
}

void scripts_load(struct str text, char out_hash[41])
{
    uint64_t hash = str_hash(text);
    snprintf(out_hash, 41, "%016" PRIx64 "%016" PRIx64 "%08x", hash, ~hash, (unsigned)(hash >> 7));
    struct script *script = find(str_from(out_hash, 40));
    if (!script) {
        if (luaL_loadbuffer(lua, text.ptr, text.len, "@user_script") || script_count == SCRIPTS_MAX) {
            world_fail("a script does not compile: %s", lua_tostring(lua, -1));
            return;
        }
        script = &scripts[script_count++];
        memcpy(script->hash, out_hash, 41);
        script->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    script->known = true;
}

void scripts_forget(void)
{
    for (size_t i = 0; i < script_count; i++)
        scripts[i].known = false;
}

static void set_list(const char *name, const struct str *texts, size_t count)
{
    lua_createtable(lua, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(lua, texts[i].ptr, texts[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    lua_setglobal(lua, name);
}

void scripts_run(struct str hash, const struct str *keys, size_t key_count, const struct str *arguments,
                 size_t argument_count, struct store_call *store_call)
{
    const struct script *script = find(hash);
    set_list("KEYS", keys, key_count);
    set_list("ARGV", arguments, argument_count);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, script->function);
    current = store_call;
    bool failed = lua_pcall(lua, 0, 1, 0) != 0;
    current = NULL;
    if (failed && lua_isstring(lua, -1)) {
        world_fail("a script ended with %s", lua_tostring(lua, -1));
        resp_error(store_call->out, "ERR script");
    } else {
        answer_value(lua, store_call->out);
    }
    lua_settop(lua, 0);
}

/* ---- life ---- */

void scripts_begin(void)
{
    static const luaL_Reg functions[] = {
        {"call", call}, {"pcall", pcall}, {"error_reply", error_reply}, {"status_reply", status_reply}, {NULL, NULL}};
    static const luaL_Reg json_functions[] = {{"decode", decode}, {NULL, NULL}};
    if (!lua) {
        lua = luaL_newstate();
        luaL_openlibs(lua);
        luaL_register(lua, "redis", functions);
        luaL_register(lua, "cjson", json_functions);
        lua_settop(lua, 0);
    }
    scripts_forget();
}

void scripts_end(void)
{
    scripts_forget();
}
