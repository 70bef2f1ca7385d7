# Completion of carillon for bash. Commands and flags are those that the program's own help lists.
_carillon() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" = help ]; }; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p') help" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help "${COMP_WORDS[1]}" 2>/dev/null |
            grep -oE '(^ +|, )--[a-z0-9-]+' | tr -d ' ,')" -- "$word")
    fi
}
complete -o default -F _carillon carillon
