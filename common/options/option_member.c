/* option_member.c - the members of a struct that a table describes: their sizes, and freeing them. */
#include "common/base/alloc.h"
#include "common/options/option_value.h"

size_t option_member_size(enum option_type type)
{
    switch (type) {
    case OPTION_BOOL: return sizeof(bool);
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION: return sizeof(uint64_t);
    case OPTION_ENUM: return sizeof(int);
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_SECRET:
    case OPTION_JSON: return sizeof(char *);
    default: return sizeof(struct option_list);
    }
}

void option_free(const struct option_row *row, void *options)
{
    void *member = option_member(row, options);
    struct option_list list;
    switch (row->type) {
    case OPTION_BOOL:
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
    case OPTION_ENUM: return;
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_SECRET:
    case OPTION_JSON: free(*(char **)member); break;
    default:
        memcpy(&list, member, sizeof list);
        for (size_t i = 0; i < list.count; i++) {
            if (row->record)
                options_fini(row->record, (char *)list.items + i * row->record->size);
            else if (row->type == OPTION_NUMBERS)
                free(((struct option_number *)list.items)[i].name);
            else
                free(((char **)list.items)[i]);
        }
        free(list.items);
    }
    memset(member, 0, option_member_size(row->type));
}

void options_fini(const struct option_table *table, void *options)
{
    for (size_t i = 0; i < table->count; i++)
        option_free(&table->rows[i], options);
}
