# SPDX-License-Identifier: Apache-2.0
#
# Completion of everlit for bash. To try it: source this file. To keep it: copy it to
# /usr/share/bash-completion/completions/everlit

# The names of the server's models, for `--model` and `predict`; nothing where no server answers.
_everlit_models() {
    everlit ${socket:+--socket "$socket"} status --json 2>/dev/null |
        grep -o '"name":"[^"\\]*","base_path"' | cut -d'"' -f4
}

_everlit() {
    local commands="status events history config rollback pin unpin load unload quarantine forgive retry promote abort golden inspect predict report version help"
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command="" socket="" arguments=0 i
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) socket=${COMP_WORDS[++i]-} ;;
        --socket=*) socket=${COMP_WORDS[i]#*=} ;;
        --model | --after | --json | --npy | --input | --version | --label | --signature | --timeout | --tags | \
            --to | --reason | --limit | --event)
            # Of these some have a value; --json has one with predict only.
            if [[ $command == predict || (${COMP_WORDS[i]} != --json && ${COMP_WORDS[i]} != --version) ]]; then
                ((++i))
            fi
            ;;
        -*) ;;
        *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((++arguments)); fi ;;
        esac
    done

    case $before in
    --socket) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --model) mapfile -t COMPREPLY < <(compgen -W "$(_everlit_models)" -- "$word"); return ;;
    --json | --npy)
        if [[ $command == predict ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
        fi
        ;;
    --after | --input | --label | --signature | --timeout | --tags | --to | --reason | --limit | --event) return ;;
    --version) if [[ $command == predict ]]; then return; fi ;;
    esac

    local options="--socket --help"
    case $command in
    "") options+=" --version" ;;
    status) options+=" --json --watch --model --all" ;;
    events) options+=" --follow --json --model --after" ;;
    config) options+=" --json" ;;
    golden) options+=" --out --count --from --absolute --relative --agreement" ;;
    history) options+=" --limit --event --json" ;;
    rollback) options+=" --to --reason --wait --json" ;;
    promote) options+=" --all --reason --wait --json" ;;
    pin | unpin | load | unload | quarantine | forgive | retry | abort) options+=" --reason --wait --json" ;;
    inspect) options+=" --json --tags" ;;
    report) options+=" --all --json" ;;
    predict) options+=" --json --npy --row --input --version --label --signature --timeout" ;;
    esac

    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    elif [[ -z $command || ($command == help && $arguments == 0) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    elif [[ $command == inspect && $arguments == 0 ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $arguments == 0 && " predict report history rollback pin unpin load unload quarantine forgive retry promote abort " == *" $command "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_everlit_models)" -- "$word")
    fi
}

complete -F _everlit everlit
