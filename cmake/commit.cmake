# commit.cmake - writes the commit that the sources are of into a header, and leaves the header alone when it has not changed.
# cmake -DSOURCES=folder -DOUT=header -P commit.cmake. Without git it is what cmake/commit.txt says in an archive that git made.
set(commit unknown)
if(EXISTS ${SOURCES}/.git)
    execute_process(COMMAND git -C ${SOURCES} rev-parse HEAD OUTPUT_VARIABLE head RESULT_VARIABLE code ERROR_QUIET
        OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(code EQUAL 0)
        execute_process(COMMAND git -C ${SOURCES} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
        set(commit ${head})
        if(changes)
            string(APPEND commit -modified)
        endif()
    endif()
else()
    file(READ ${SOURCES}/cmake/commit.txt text)
    if(text MATCHES "^[0-9a-f]+")
        set(commit ${CMAKE_MATCH_0})
    endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "/* commit.h - made by the build: the commit that it is of. */
#ifndef CARILLON_APP_COMMIT_H
#define CARILLON_APP_COMMIT_H

#define CARILLON_COMMIT \"${commit}\"

#endif
" @ONLY)
