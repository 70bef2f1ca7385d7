/* request_lines.c - see request_lines.h. */
#include "server/upstream/request_lines.h"

#include "common/base/alloc.h"

struct outbound_field *request_lines_split(struct str lines, size_t *out_count)
{
    size_t count = 0;
    for (struct str rest = lines; rest.len; count++)
        str_split(&rest, '\n');
    struct outbound_field *fields = xcalloc(count, sizeof *fields);
    for (size_t i = 0; i < count; i++) {
        struct str line = str_split(&lines, '\n');
        struct str name = str_split(&line, ':');
        fields[i] = (struct outbound_field){name, str_from(line.ptr + 1, line.len - 2)}; /* " value\r" */
    }
    *out_count = count;
    return fields;
}
