#compdef bacalhau-spot
# Completion of bacalhau-spot in zsh: eval "$(bacalhau-spot completion zsh)", after compinit
_bacalhau_spot() {
    local -a lines open closed texts
    local line value
    lines=("${(@f)$(${words[1]} __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ ${lines[1]} == :files ]]; then
        _files
        return
    fi
    for line in "${lines[@]}"; do
        value=${line%%$'\t'*}
        if [[ -z $value ]]; then
            continue
        elif [[ $value == *[=,.] ]]; then
            open+=("$value")
        else
            closed+=("$value")
            texts+=("${line/$'\t'/  -- }")
        fi
    done
    (( $#open )) && compadd -S '' -- "${open[@]}"
    (( $#closed )) && compadd -l -d texts -- "${closed[@]}"
    (( $#open + $#closed ))
}
if [[ ${funcstack[1]} == _bacalhau_spot ]]; then
    _bacalhau_spot "$@"
else
    compdef _bacalhau_spot bacalhau-spot
fi
