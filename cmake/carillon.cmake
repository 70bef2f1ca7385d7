# Shared by every target of the project: warnings, sanitizers, and libraries found once. The functions here make a library, a unit test or a
# fuzz target.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
if(CARILLON_STATIC)
    # Only these, and with what they need themselves. The C library stays that of the machine: it looks up names by the machine's rules.
    set(carillon_static ${PROJECT_SOURCE_DIR}/build/static/prefix)
    if(NOT EXISTS ${carillon_static}/made)
        message(FATAL_ERROR "CARILLON_STATIC needs the libraries that packaging/static-libraries.sh makes: run it first")
    endif()
    set(ENV{PKG_CONFIG_LIBDIR} ${carillon_static}/lib/pkgconfig)
    set(PKG_CONFIG_ARGN --static)
endif()
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(LIBJWT REQUIRED IMPORTED_TARGET libjwt)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(LIBWEBSOCKETS REQUIRED IMPORTED_TARGET libwebsockets)

add_library(carillon_flags INTERFACE)
target_compile_options(carillon_flags INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wno-unused-parameter
    -fno-common -fstack-protector-strong)
target_compile_definitions(carillon_flags INTERFACE _GNU_SOURCE)
target_include_directories(carillon_flags INTERFACE ${PROJECT_SOURCE_DIR})
include(${CMAKE_CURRENT_LIST_DIR}/hardening.cmake)
target_link_libraries(carillon_flags INTERFACE carillon_hardening)
if(CARILLON_STATIC)
    # The same bytes wherever the sources are, and nothing of the libraries that the program does not call.
    target_compile_options(carillon_flags INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffunction-sections -fdata-sections)
    target_link_options(carillon_flags INTERFACE LINKER:--gc-sections LINKER:--build-id=sha1)
    target_compile_definitions(carillon_flags INTERFACE CARILLON_STATIC)
endif()
if(CARILLON_SANITIZE)
    target_compile_options(carillon_flags INTERFACE -fsanitize=${CARILLON_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=undefined)
    target_link_options(carillon_flags INTERFACE -fsanitize=${CARILLON_SANITIZE})
endif()
if(CARILLON_FUZZ)
    target_compile_options(carillon_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Linked into the program alone. In the tests it would be in the way of sanitizers, which interpose malloc too.
add_library(carillon_malloc INTERFACE)
if(CARILLON_MALLOC STREQUAL "jemalloc")
    find_library(JEMALLOC_LIBRARY jemalloc)
    if(NOT JEMALLOC_LIBRARY)
        message(FATAL_ERROR "CARILLON_MALLOC=jemalloc needs the library jemalloc: install it (Debian, Ubuntu: "
            "libjemalloc-dev), or configure with -DCARILLON_MALLOC=system")
    endif()
    if(CARILLON_SANITIZE)
        message(FATAL_ERROR "CARILLON_MALLOC=jemalloc does not go with CARILLON_SANITIZE: sanitizers have a malloc of "
            "their own; configure with -DCARILLON_MALLOC=system")
    endif()
    target_link_libraries(carillon_malloc INTERFACE ${JEMALLOC_LIBRARY})
elseif(NOT CARILLON_MALLOC STREQUAL "system")
    message(FATAL_ERROR "CARILLON_MALLOC is \"${CARILLON_MALLOC}\": it can be system or jemalloc")
endif()

# carillon_library(NAME SOURCES ... LINKS ...): a static library of one folder. Its links are public, so that its users see the headers it
# builds on.
function(carillon_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC carillon_flags ${ARG_LINKS})
endfunction()

# carillon_unit_test(NAME SOURCES ... LINKS ...): one cmocka program, run by ctest with the label unit.
function(carillon_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE carillon_flags ${ARG_LINKS} PkgConfig::CMOCKA)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()

# carillon_fuzz_target(NAME SOURCES ... LINKS ...): fuzz_NAME with libFuzzer, else a program that replays
# tests/fuzz/corpus/NAME once, run by ctest with the label fuzz.
function(carillon_fuzz_target name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    if(CARILLON_FUZZ)
        add_executable(fuzz_${name} ${ARG_SOURCES})
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(fuzz_${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
        set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 600)
    endif()
    target_link_libraries(fuzz_${name} PRIVATE carillon_flags ${ARG_LINKS})
endfunction()
