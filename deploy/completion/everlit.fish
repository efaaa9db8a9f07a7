# SPDX-License-Identifier: Apache-2.0
#
# Completion of everlit for fish. To keep it: copy it to ~/.config/fish/completions/everlit.fish, for all users
# /usr/share/fish/vendor_completions.d/everlit.fish

# The names of the server's models; nothing where no server answers.
function __everlit_models
    everlit status --json 2>/dev/null | string match --all --regex --groups-only '"name":"([^"\\\\]*)","base_path"'
end

function __everlit_in
    __fish_seen_subcommand_from $argv
end

set -l commands status events history config rollback pin unpin load unload quarantine forgive retry promote abort golden inspect predict report version help

complete -c everlit -f
complete -c everlit -l socket -r -F -d 'socket of the server'
complete -c everlit -l help -d 'how to use it'
complete -c everlit -n "not __everlit_in $commands" -l version -d 'of this command'
complete -c everlit -n "not __everlit_in $commands" -a status -d 'every version of every model'
complete -c everlit -n "not __everlit_in $commands" -a events -d 'what happened and why'
complete -c everlit -n "not __everlit_in $commands" -a golden -d 'records what the next versions must answer'
complete -c everlit -n "not __everlit_in $commands" -a history -d 'what happened, and who did it'
complete -c everlit -n "not __everlit_in $commands" -a rollback -d 'go back to an older version'
complete -c everlit -n "not __everlit_in $commands" -a pin -d 'answer with this version'
complete -c everlit -n "not __everlit_in $commands" -a unpin -d 'end a pin or a rollback'
complete -c everlit -n "not __everlit_in $commands" -a load -d 'load a version by hand'
complete -c everlit -n "not __everlit_in $commands" -a unload -d 'take a version out of memory'
complete -c everlit -n "not __everlit_in $commands" -a quarantine -d 'never answer with this content'
complete -c everlit -n "not __everlit_in $commands" -a forgive -d 'end a quarantine'
complete -c everlit -n "not __everlit_in $commands" -a retry -d 'try a refused version again'
complete -c everlit -n "not __everlit_in $commands" -a promote -d 'let a rollout go on'
complete -c everlit -n "not __everlit_in $commands" -a abort -d 'end a rollout'
complete -c everlit -n "not __everlit_in $commands" -a config -d 'the config in force'
complete -c everlit -n "not __everlit_in $commands" -a inspect -d 'what a model on disk is'
complete -c everlit -n "not __everlit_in $commands" -a predict -d 'one request'
complete -c everlit -n "not __everlit_in $commands" -a report -d 'what came of an attempt to bring a version in'
complete -c everlit -n "not __everlit_in $commands" -a version -d 'of this command and of the server'
complete -c everlit -n "not __everlit_in $commands" -a help -d 'of everlit or of one command'
complete -c everlit -n '__everlit_in help' -a "$commands"

complete -c everlit -n '__everlit_in status events config inspect history rollback pin unpin load unload quarantine forgive retry promote abort' -l json -d 'as JSON'
complete -c everlit -n '__everlit_in status' -l watch -d 'again and again'

complete -c everlit -n '__everlit_in events' -l follow -d 'go on with what happens'
complete -c everlit -n '__everlit_in events' -l model -x -a '(__everlit_models)' -d 'only of this one'
complete -c everlit -n '__everlit_in events' -l after -x -d 'only after this id'

complete -c everlit -n '__everlit_in inspect' -l tags -x -d 'of the meta graph'
complete -c everlit -n '__everlit_in inspect' -a '(__fish_complete_directories)'

complete -c everlit -n '__everlit_in report' -a '(__everlit_models)'
complete -c everlit -n '__everlit_in report' -l all -d 'all that are kept'
complete -c everlit -n '__everlit_in report' -l json -d 'one JSON object a line'
complete -c everlit -n '__everlit_in predict' -a '(__everlit_models)'
complete -c everlit -n '__everlit_in predict' -l json -r -F -d 'a request'
complete -c everlit -n '__everlit_in predict' -l npy -r -F -d 'a NumPy array'
complete -c everlit -n '__everlit_in predict' -l row -d 'the array is one example'
complete -c everlit -n '__everlit_in predict' -l input -x -d 'the input it is for'
complete -c everlit -n '__everlit_in predict' -l version -x -d 'ask this version'
complete -c everlit -n '__everlit_in predict' -l label -x -d 'ask the one with this label'
complete -c everlit -n '__everlit_in predict' -l signature -x -d 'default: serving_default'
complete -c everlit -n '__everlit_in predict' -l timeout -x -d 'seconds until it gives up'

complete -c everlit -n '__everlit_in history rollback pin unpin load unload quarantine forgive retry promote abort' -a '(__everlit_models)'
complete -c everlit -n '__everlit_in promote' -l all -d 'to everybody'
complete -c everlit -n '__everlit_in history' -l limit -x -d 'the last so many'
complete -c everlit -n '__everlit_in history' -l event -x -d 'only these'
complete -c everlit -n '__everlit_in rollback' -l to -x -d 'this version'
complete -c everlit -n '__everlit_in rollback pin unpin load unload quarantine forgive retry promote abort' -l reason -x -d 'why'
complete -c everlit -n '__everlit_in rollback pin unpin load unload quarantine forgive retry promote abort' -l wait -d 'until it is done'
complete -c everlit -n '__everlit_in golden' -a '(__everlit_models)'
complete -c everlit -n '__everlit_in golden' -l out -r -F -d 'the file to write'
complete -c everlit -n '__everlit_in golden' -l from -r -F -d 'a request log'
complete -c everlit -n '__everlit_in golden' -l count -x -d 'at most so many'
complete -c everlit -n '__everlit_in golden' -l absolute -x -d 'how far a number may be off'
complete -c everlit -n '__everlit_in golden' -l relative -x -d 'and, of the expected number, the part'
complete -c everlit -n '__everlit_in golden' -l agreement -x -d 'share of rows with the same top-1'
