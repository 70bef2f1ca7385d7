# Flags that make a fault in the program hard to use. They do not depend on the defaults of the compiler or the distribution. Every target
# gets them by carillon_flags, except in builds with sanitizers, which see more and get in each other's way. tests/unit/hardening reads the
# program for them.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

add_library(carillon_hardening INTERFACE)

# carillon_hardening_flag(FLAG): where the compiler has it.
function(carillon_hardening_flag flag)
    string(MAKE_C_IDENTIFIER "CARILLON_HAS${flag}" has)
    set(CMAKE_REQUIRED_FLAGS -Werror)
    check_c_compiler_flag(${flag} ${has})
    if(${has})
        target_compile_options(carillon_hardening INTERFACE ${flag})
    endif()
endfunction()

if(NOT CARILLON_SANITIZE AND NOT CARILLON_FUZZ)
    set(is_module $<STREQUAL:$<TARGET_PROPERTY:TYPE>,MODULE_LIBRARY>)
    set(is_program $<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>)
    target_compile_options(carillon_hardening INTERFACE $<$<NOT:${is_module}>:-fPIE>)
    # relro and now: the tables of addresses are read-only once the program runs.
    target_link_options(carillon_hardening INTERFACE $<${is_program}:-pie> LINKER:-z,relro LINKER:-z,now
        LINKER:-z,noexecstack)
    # A large frame cannot jump over the guard page below the stack.
    carillon_hardening_flag(-fstack-clash-protection)
    # Indirect jumps go only where one may, and returns where they came from (x86-64: CET; arm64: BTI and PAC). It costs a
    # no-op at the beginning of each function: 3 of the 200 instructions of a delivery.
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i[3-6]86)$")
        carillon_hardening_flag(-fcf-protection=full)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
        carillon_hardening_flag(-mbranch-protection=standard)
    endif()
    # The C library checks sizes. It needs an optimized build. Level 3 needs gcc 12 or clang 9, and glibc 2.34.
    if(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
        set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
        check_c_source_compiles("#include <stdio.h>
            #if __USE_FORTIFY_LEVEL != 3
            #error not here
            #endif
            int main(void) { return 0; }" CARILLON_HAS_FORTIFY_3)
        unset(CMAKE_REQUIRED_FLAGS)
        set(level $<IF:$<BOOL:${CARILLON_HAS_FORTIFY_3}>,3,2>)
        target_compile_options(carillon_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
    endif()
endif()
