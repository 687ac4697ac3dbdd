# Completion of bacalhau-spot in fish: bacalhau-spot completion fish > ~/.config/fish/completions/bacalhau-spot.fish
function __bacalhau_spot_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (command $before[1] __complete fish $before[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = ':files'
        __fish_complete_path "$current"
        return
    end
    test (count $lines) -gt 0; and printf '%s\n' $lines
end
complete -c bacalhau-spot -f -a '(__bacalhau_spot_complete)'
