# embed_texts.cmake - writes text files as C strings into a header.
# cmake -DOUT=header -DFOLDER=folder -DENDING=.lua -DTEXTS="one;first+two" -P embed_texts.cmake makes one_text of one.lua, and
# two_text of first.lua and two.lua, one after the other. With -DSUFFIX=_js the names are one_js and two_js.
if(NOT SUFFIX)
    set(SUFFIX _text)
endif()
set(header "/* Made by cmake/embed_texts.cmake. */\n")
foreach(row ${TEXTS})
    string(REPLACE "+" ";" parts ${row})
    set(text "")
    foreach(part ${parts})
        set(name ${part})
        file(READ ${FOLDER}/${part}${ENDING} more)
        string(APPEND text "${more}")
    endforeach()
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "??" "?\\?" text "${text}") # in C11 ??= and the like are other characters
    string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
    string(APPEND header "static const char ${name}${SUFFIX}[] =\n    \"${text}\";\n")
endforeach()
file(WRITE ${OUT} "${header}")
