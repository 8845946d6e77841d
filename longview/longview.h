// What a user of the library includes.
#pragma once

#include "longview/base/cpu.h"
#include "longview/checkpoint/checkpoint.h"
#include "longview/flow.h"
#include "longview/infer/generate.h"
#include "longview/infer/nbce.h"
#include "longview/infer/reader.h"
#include "longview/infer/snapshot.h"
#include "longview/kernels/infini.h"
#include "longview/model/transformer.h"
#include "longview/text/chat.h"
#include "longview/text/corpus.h"
#include "longview/text/tokenizer.h"
