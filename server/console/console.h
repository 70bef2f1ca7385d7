/* console.h - the pages for a browser, whose files are in the program. They name no other server, and their policy lets
 * them run only the script that comes from here: nothing that a client sends can become one. */
#ifndef CARILLON_CONSOLE_CONSOLE_H
#define CARILLON_CONSOLE_CONSOLE_H

#include "common/protocol/http_message.h"

/* A path that a page's files have: "/", "/console.css". */
struct console_file {
    const char *path;
    const char *content_type;
    struct str text;
};

/* The console of `carillon dev`. NULL: it has no such file. */
const struct console_file *console_find(struct str path);

/* The inspector of `carillon serve`; its "/" asks for a key where nobody has logged in. NULL: it has no such file. */
const struct console_file *console_find_of_inspector(struct str path, bool logged_in);

/* Answers with the file: 200. */
void console_answer(struct http_call *call, const struct console_file *file);
/* Answers a refused login with the form, which shows the sentence: a literal text of ours without markup. */
void console_answer_login(struct http_call *call, int status, struct str sentence);

#endif
