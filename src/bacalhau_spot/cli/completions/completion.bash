# Completion of bacalhau-spot in bash: eval "$(bacalhau-spot completion bash)"
_bacalhau_spot() {
    local IFS=$'\n' line
    COMPREPLY=()
    while read -r line; do
        COMPREPLY+=("$line")
    done < <("$1" __complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    if [[ ${COMPREPLY[0]-} == :files ]]; then
        COMPREPLY=()
        compopt -o default 2>/dev/null
    elif [[ ${COMPREPLY[0]-} == *[=,.] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _bacalhau_spot bacalhau-spot
