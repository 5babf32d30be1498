#!/usr/bin/env bash
# usage: scripts/experiments/published.sh CORPUS FOLDER [flags of fairseq-train]
#
# Trains the published text-only baseline of Multi30k, English-German (Wu et al., ACL 2021: 41.02 BLEU on the test set of
# 2016, 33.36 on that of 2017, 29.88 on coco), by fairseq alone, and prints the BLEU that it was measured by: of
# lower-cased tokens.
#
#   CORPUS   folder with multi30k-bpe/: that paper's text, train.de.gz, train.en.gz, valid.de, test.2016.de, ...
#   FOLDER   folder for all that is made
#
# Flags that follow replace those below, e.g. `--cpu`. Run again, it resumes if it was interrupted.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ $# -ge 2 ]] || { usage "$0" >&2; exit 2; }
corpus=$1/multi30k-bpe folder=$2
shift 2
[[ -f $corpus/train.en.gz ]] || die "$corpus: contains no train.en.gz; expected the text of the published baseline"

data=$folder/bin text=$folder/text model=$folder/en-de
mkdir -p "$text"
for lang in en de; do
    zcat "$corpus/train.$lang.gz" >"$text/train.$lang"
done
[[ -f $data/test2.en-de.en.idx ]] || fairseq-preprocess -s en -t de --joined-dictionary --trainpref "$text/train" \
    --validpref "$corpus/valid" --testpref "$corpus/test.2016,$corpus/test.2017,$corpus/test.coco" --destdir "$data"

# 8,192 tokens an update, so that 53 updates are an epoch: validation and checkpoints are those of epochs.
(train "$model" "$data" --user-dir fairseq_dsl --task translation -s en -t de --arch transformer --share-all-embeddings \
    --encoder-layers 4 --encoder-embed-dim 128 --encoder-ffn-embed-dim 256 --encoder-attention-heads 4 \
    --decoder-layers 4 --decoder-embed-dim 128 --decoder-ffn-embed-dim 256 --decoder-attention-heads 4 \
    --dropout 0.3 --criterion label_smoothed_cross_entropy --label-smoothing 0.1 \
    --optimizer adam --adam-betas '(0.9, 0.98)' --lr 0.005 --lr-scheduler inverse_sqrt --warmup-updates 2000 \
    --max-tokens 4096 --update-freq 2 --max-update 8000 --patience 10 --keep-last-epochs 10 --num-workers 0 \
    --log-interval 10 "$@")
fairseq-dsl average --inputs "$model" --num-epoch-checkpoints 10 --output "$model/average.pt"
for subset in test test1 test2; do # 2016, 2017, coco
    fairseq-generate "$data" -s en -t de --gen-subset "$subset" --path "$model/average.pt" --beam 5 --remove-bpe \
        --batch-size 64 >"$folder/$subset.log"
    tail -n 1 "$folder/$subset.log"
done
