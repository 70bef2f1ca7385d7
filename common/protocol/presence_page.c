/* presence_page.c - see presence_page.h. */
#include "common/protocol/presence_page.h"

#include "common/json/json.h"

void presence_page_write(struct buf *out, const struct presence_page *page)
{
    buf_append_lit(out, "\"users\":");
    buf_append_u64(out, page->users);
    buf_append_lit(out, ",\"connections\":");
    buf_append_u64(out, page->connections);
    buf_append_lit(out, ",\"members\":[");
    buf_append(out, page->members);
    buf_append_lit(out, "],\"next\":");
    if (page->next.len)
        json_append_string(out, page->next);
    else
        buf_append_lit(out, "null");
}
