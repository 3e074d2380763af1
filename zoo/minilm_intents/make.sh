#!/bin/sh
# The supernet minilm_intents: a pretrained MiniLM, fine-tuned and made elastic on intents, with its report card and its
# front on this machine. Fifteen to twenty minutes of processor time on one core.
#
#   sh make.sh FOLDER INTENTS.parquet OUT
#
# FOLDER is the network as Hugging Face writes it, INTENTS.parquet has the columns text, label and split.
set -e
here=$(dirname "$0")
netwright convert "$1" --data "text:$2" --sequence 32 --out "$3-converted" --name minilm_pretrained
netwright train "$here/recipe.toml" --from "$3-converted" --out "$3" --name minilm_intents --licence Apache-2.0
netwright card "$3"
