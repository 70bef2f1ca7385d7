#compdef carillon
# Completion of carillon for zsh. Commands and flags are those that the program's own help lists.
_carillon() {
    local program=$words[1]
    local -a found
    if ((CURRENT == 2 || (CURRENT == 3 && ${words[2]} == help))); then
        found=(${(f)"$($program --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *\(.*\)/\1:\2/p')"} 'help:show the options of a command')
        _describe command found
    elif [[ $PREFIX == -* ]]; then
        found=(${(f)"$($program help $words[2] 2>/dev/null | grep -oE '(^ +|, )--[a-z0-9-]+' | tr -d ' ,')"})
        compadd -a found
    else
        _files
    fi
}
_carillon "$@"
