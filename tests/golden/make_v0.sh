#!/bin/sh
# Makes tests/golden/v0 by the scripts of commit 30362c9, whose modules lay beside them:
#   git worktree add ../v0 30362c9; PYTHON=.venv/bin/python tests/golden/make_v0.sh ../v0
#
# start.tar.gz     all that was stopped half-way, and what it is made from
# expected.tar.gz  what those runs end with when commit 30362c9 itself goes on with them
#
# test_compatibility.py says the same commands once more. All paths are relative: the runs go on in
# any folder. float32 alone, since bfloat16 differs more from one processor to another.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$1" && pwd)
PYTHON=${PYTHON:-python3}
case $PYTHON in */*) PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON") ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/start"
cd "$work/start"

run() { script=$1; shift; "$PYTHON" "$checkout/$script" "$@"; }

# stopped STATUS SIGNAL UNITS SCRIPT ...: ended by the signal after so many steps, iterations, photos
stopped() {
    wanted=$1 name=$2 units=$3 script=$4; shift 4
    status=0
    "$PYTHON" "$here/interrupt.py" "$checkout/$script" "$units" "$name" "$@" || status=$?
    [ "$status" = "$wanted" ] || { echo "$script: status $status, not $wanted" >&2; exit 1; }
}

# --- the commands that are stopped, and go on -----------------------------------------------------

train_dcgan() {
    "$@" train-dcgan.py --dataset faces --holdout holdout.txt --image-size 16 --z-dim 8 --gf-dim 4 \
        --df-dim 4 --batch-size 4 --epoch 36 --decay-epochs 2 --learning-rate 0.002 --seed 3 \
        --average-decay 0.9 --label-smoothing 0.1 --flip --diffaugment color,translation \
        --precision float32 --sample-interval 1000 --keep 1
}

train_encoder() {
    "$@" train-context-encoder.py --dataset faces --holdout holdout.txt --width 4 --batch-size 4 \
        --epoch 36 --learning-rate 0.003 --warmup-steps 20 --decay-epochs 2 --seed 3 \
        --average-decay 0.9 --precision float32 --checkpoint-interval 20 --sample-interval 1000 \
        --keep 1
}

# With --init-from ENCODER it starts, without it goes on.
train_sharper() {
    from=$1; shift
    "$@" train-context-encoder.py --dataset faces --checkpoint-dir sharper \
        --sample-dir samples/sharper --log-dir logs/sharper $from --adversarial-weight 1 \
        --learning-rate 0.0003 --width 4 --batch-size 4 --epoch 4 --warmup-steps 2 \
        --decay-epochs 1 --seed 3 --average-decay 0.9 --precision float32 --keep 1
}

# --mix 0.2: of 16 pixels the usual 0.02 shows the estimate alone, and not what was searched.
complete() {
    name=$1 steps="--n-iter 8 --out-interval 4"; shift
    case $name in
        auto) options="--approach auto $steps" ;;
        direct) options="--approach direct --mask-type left" ;;
        adam) options="--approach adam --samples 2 $steps --lr 0.05" ;;
        file) options="--mask masks --dilate 1 --feather --mix 0.2 $steps" ;;
        full) options="--mask-type full --average 1 $steps" ;;
        lowres) options="--mask-type lowres --average 1 $steps" ;;
        exported) options="--checkpoint-dir exported $steps" ;;
    esac
    "$@" complete.py given --out-dir "completions/$name" --batch-size 2 --precision float32 $options
}

complete_photos() {
    "$@" complete-photo.py photos --mask photo-masks --patch --out-dir repaired --batch-size 1 \
        --n-iter 8 --mix 0.2 --precision float32
}

align() {
    "$@" align-dlib.py photos align innerEyesAndBottomLip aligned --size 16 --workers 1
}

# --- what they are given --------------------------------------------------------------------------

run data/draw-faces.py --n 14 --size 16 --seed 3 --out faces
run data/draw-faces.py --n 4 --size 16 --seed 4 --out given
ls faces | sed -n '5p;10p' >holdout.txt
run data/copy-portraits.py --out portraits
"$PYTHON" - <<'PROGRAM'
import os

import numpy as np
from PIL import Image

random = np.random.default_rng(0)
os.mkdir("masks"), os.mkdir("photos"), os.mkdir("photo-masks")
for name in sorted(os.listdir("given")):  # a rectangle anywhere
    left, top = random.integers(1, 8, 2)
    mask = np.zeros([16, 16], np.uint8)
    mask[top : top + 6, left : left + 7] = 255
    Image.fromarray(mask).save(f"masks/{name}")
# The detector's box of each face: it comes to 70 pixels, in the middle of 112.
for name, left, top, width in (("grace_hopper", 161, 137, 216), ("eileen_collins", 179, 83, 88)):
    with Image.open(f"portraits/{name}.png") as photo:
        edge, x, y = 112 * width / 70, left + width / 2, top + width / 2
        box = x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2
        photo.resize([112, 112], Image.Resampling.LANCZOS, box).save(f"photos/{name}.jpg")
    mask = np.zeros([112, 112], np.uint8)
    mask[56:80, 40:72] = 255  # the nose
    Image.fromarray(mask).save(f"photo-masks/{name}.png")
PROGRAM
rm -r portraits

# --- stopped half-way -----------------------------------------------------------------------------

train_dcgan stopped 130 INT 99  # after step 100, the first of three of an epoch
train_encoder stopped 137 KILL 95  # it goes on from step 80
mkdir sharper
cp checkpoint/checkpoint checkpoint/ckpt-* checkpoint/config.json sharper
train_sharper "--init-from checkpoint/context-encoder" stopped 143 TERM 7  # after step 8
complete auto stopped 130 INT 12  # in the second batch of two
complete direct stopped 130 INT 1
complete adam stopped 143 TERM 12
complete file stopped 137 KILL 12
complete full stopped 130 INT 12
complete lowres stopped 130 INT 12
complete_photos stopped 130 INT 1
align stopped 130 INT 1

# --- finished -------------------------------------------------------------------------------------

run evaluate.py given --reference --n-iter 8 --precision float32 --workers 1 \
    --cache cache --out evaluation
run export.py --format checkpoint exported
run export.py --format savedmodel saved
cp saved/config.json saved-config.json
rm -r saved

# --- what the stopped ones come to ----------------------------------------------------------------

cp -R ../start ../end
cd ../end
for name in auto direct adam file full lowres; do complete $name run; done
complete_photos run
align run
run sample-dcgan.py walk completions/adam/logs/z.npz --frames 4 --strip 4 --out walk.png
complete exported run
train_dcgan run
train_encoder run
train_sharper "" run

pack() {  # FILE NAME ...: without the largest of what nothing reads
    file=$1; shift
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude='losses.p*' \
        --exclude='*/training/events.*' -cf - "$@" | gzip -9n >"$file"
}
cd ../start
mkdir -p "$here/v0"
rm -r samples sharper/ckpt-*  # the latter are copies of checkpoint/ckpt-*
pack "$here/v0/start.tar.gz" *
cd ../end
pack "$here/v0/expected.tar.gz" logs/scalars.csv logs/*/scalars.csv samples/train_36* \
    samples/*/train_* completions/*/final completions/*/results.csv completions/adam/samples \
    repaired/patch repaired/report.csv aligned aligned-report.csv walk.png
ls -l "$here/v0"
