# test_reference.cmake - compares each generated page with the committed file, and checks the sample as a user would.
# cmake -DCARILLON=binary -DSOURCE=repository -P test_reference.cmake. With -DWRITE=ON it writes the pages instead.
set(pages
    "--options" docs/reference/options.md
    "--json-schema" docs/reference/options.schema.json
    "--metrics" docs/reference/metrics.md
    "--errors" docs/reference/errors.md
    "--sample" config/carillon.jsonc)
while(pages)
    list(POP_FRONT pages flag file)
    execute_process(COMMAND ${CARILLON} reference ${flag} OUTPUT_VARIABLE made RESULT_VARIABLE code)
    if(NOT code EQUAL 0)
        message(FATAL_ERROR "carillon reference ${flag}: exit code ${code}")
    endif()
    if(WRITE)
        file(WRITE ${SOURCE}/${file} "${made}")
        continue()
    endif()
    file(READ ${SOURCE}/${file} committed)
    if(NOT made STREQUAL committed)
        message(SEND_ERROR "${file} is not what the tables give; write it again: carillon reference ${flag} > ${file}")
    endif()
endwhile()
execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=REDIS_URL ${CARILLON} check --config ${SOURCE}/config/carillon.jsonc
    OUTPUT_VARIABLE said RESULT_VARIABLE code)
if(NOT code EQUAL 0 OR NOT said MATCHES "carillon.jsonc: ok\n$")
    message(SEND_ERROR "the sample configuration does not pass: ${said}")
endif()
