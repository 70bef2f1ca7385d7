/* fuzz_survey_message.c - the surveys that one node takes from another through the broker. An accepted message must
 * survive being written and read again. */
#include <stdlib.h>

#include "server/node/survey_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct survey_message first, second;
    struct buf scratch = {0}, again = {0}, scratch_again = {0};
    if (survey_read(str_from((const char *)bytes, len), &scratch, &first, NULL) == ERR_NONE) {
        if (first.is_answer)
            survey_write_answer(&again, &first);
        else
            survey_write_question(&again, first.id, &first.request);
        if (survey_read(buf_str(&again), &scratch_again, &second, NULL) != ERR_NONE || second.id != first.id ||
            second.is_answer != first.is_answer || second.result.row_count != first.result.row_count)
            abort();
        control_result_fini(&first.result);
        control_result_fini(&second.result);
    }
    buf_fini(&scratch);
    buf_fini(&again);
    buf_fini(&scratch_again);
    return 0;
}
