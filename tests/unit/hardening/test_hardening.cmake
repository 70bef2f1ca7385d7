# test_hardening.cmake - reads a built program for what cmake/hardening.cmake asks for.
# cmake -DCARILLON=program -DREADELF=readelf -DOBJDUMP=objdump -DPROCESSOR=x86_64 -DBUILD_TYPE=Debug -P test_hardening.cmake
function(read_program out)
    execute_process(COMMAND ${ARGN} ${CARILLON} OUTPUT_VARIABLE said RESULT_VARIABLE code ERROR_QUIET)
    if(NOT code EQUAL 0)
        message(FATAL_ERROR "${ARGN}: exit code ${code}")
    endif()
    set(${out} "${said}" PARENT_SCOPE)
endfunction()

function(expect what text pattern)
    if(NOT text MATCHES "${pattern}")
        message(SEND_ERROR "${what}: ${pattern} is not in what readelf or objdump says of ${CARILLON}")
    endif()
endfunction()

read_program(head ${READELF} -hW)
read_program(segments ${READELF} -lW)
read_program(dynamic ${READELF} -dW)
expect("a program at a random address" "${head}" "Type:[ ]+DYN")
expect("a program at a random address" "${dynamic}" "FLAGS_1[^\n]*PIE")
expect("full RELRO" "${segments}" "GNU_RELRO")
expect("full RELRO" "${dynamic}" "FLAGS[^\n]*NOW")
expect("a stack without code" "${segments}" "GNU_STACK[^\n]* RW ")
if(segments MATCHES "LOAD[^\n]* RWE ")
    message(SEND_ERROR "a segment of ${CARILLON} can be written and run")
endif()

read_program(symbols ${READELF} --dyn-syms -W)
expect("stack protector" "${symbols}" "__stack_chk_fail")
if(BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
    expect("FORTIFY" "${symbols}" "__(vsn|sn|v)?printf_chk")
    expect("FORTIFY" "${symbols}" "__mem(cpy|move|set)_chk")
endif()

if(PROCESSOR STREQUAL "x86_64")
    # The linker's note says CET only where the C library's start files do, too: in the code it is always there.
    read_program(main ${OBJDUMP} -d --no-show-raw-insn --disassemble=main)
    expect("CET" "${main}" "<main>:\n[^\n]*endbr64")
    # connection.c reads 16 KB into its frame: with a probe of each page on the way.
    read_program(code ${OBJDUMP} -d --no-show-raw-insn)
    expect("stack clash protection" "${code}" "orq? +\\$0x0,\\(%rsp\\)")
endif()
