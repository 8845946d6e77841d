// What every source promises, and what text, mixtures and positions promise beside.
#include "tests/segment/sources.h"

#include <set>

namespace longview::testing {
namespace {

struct Sources : SourceTest {
  void SetUp() override {
    SourceTest::SetUp();
    for (int i = 0; i < 7; ++i)
      put(fmt::format("long/{}.txt", i), prose(3000 + 701 * static_cast<size_t>(i), static_cast<uint64_t>(i)));
    for (int i = 0; i < 50; ++i)
      put(fmt::format("short/{:02}.txt", i),
          fmt::format("<{:02}", i) + prose(1 + static_cast<size_t>(i) * 3, 100 + static_cast<uint64_t>(i)) + ">");
  }
};

const std::vector<std::string> kEvery = {
    "text:path=@long",
    "text:path=@short,order=packed",
    "text:path=@long,order=lanes,carry=1",
    "loops:path=@long",
    "passkey",
    "passkey:path=@long,rows=0.5,wordings=many,keys=mixed",
    "recall:path=@long",
    "copy",
    "associative",
    "0.7*text:path=@long + 0.3*passkey:path=@long",
    "text:path=@long | pose:target=32k",
    "text:path=@long + passkey | random:target=4k",
};

TEST_F(Sources, KeepTheContract) {
  for (const auto& setting : kEvery) {
    SCOPED_TRACE(setting);
    const auto made = source(setting);
    const auto kinds = made->kinds();
    for (int64_t step = 0; step < 6; ++step) {
      const BatchShape shape{4, step < 3 ? 640 : 1024, 128, step == 5 ? 64.0 : 1.0};
      const Batch batch = made->next(shape);
      const std::vector<int64_t> sizes = {shape.rows, shape.length};
      ASSERT_EQ(batch.ids.sizes(), sizes);
      ASSERT_EQ(batch.targets.sizes(), sizes);
      ASSERT_EQ(batch.kind.sizes(), sizes);
      EXPECT_GE(batch.ids.min().item<int64_t>(), 0);
      EXPECT_LT(batch.ids.max().item<int64_t>(), 256);
      const Tensor is_scored = batch.targets.ge(0), after = batch.ids.slice(1, 1), inside = batch.targets.slice(1, 0, -1);  // [B,T]
      EXPECT_TRUE(at::equal(at::where(inside.ge(0), after, inside), inside));
      EXPECT_TRUE(at::equal(batch.kind.ge(0), is_scored));
      EXPECT_TRUE(at::equal(batch.share.gt(0), is_scored));
      std::map<std::string, double> sums;
      for (size_t kind = 0; kind < kinds.size(); ++kind)
        sums[made->loss(kind)] += batch.share.masked_select(batch.kind.eq(static_cast<int64_t>(kind))).sum().item<double>();
      for (const auto& [loss, sum] : sums) EXPECT_TRUE(std::abs(sum - 1) < 1e-4 || sum == 0) << loss << " " << sum;
      EXPECT_GT(is_scored.sum().item<int64_t>(), 0);
      EXPECT_TRUE(!batch.write.defined() || batch.write.min().item<float>() >= 0);
      EXPECT_EQ(batch.fresh_tokens, shape.rows * shape.length);
    }
  }
}

TEST_F(Sources, GoOnFromAStateToTheBit) {
  for (const auto& setting : kEvery) {
    SCOPED_TRACE(setting);
    const BatchShape shape{3, 600, 100, 16.0};
    const auto one = source(setting), prefetched = make_prefetched(source(setting));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(same(one->next(shape), prefetched->next(shape)));
    const Json state = parse_json(one->state().dump(), "state");
    EXPECT_EQ(state, prefetched->state());
    const auto again = source(setting);
    const BatchShape longer{3, 900, 100, 16.0};
    again->next(longer);
    again->restore(state);
    for (int i = 0; i < 4; ++i) {
      const Batch expected = one->next(i == 2 ? longer : shape);
      EXPECT_TRUE(same(expected, again->next(i == 2 ? longer : shape)));
      EXPECT_TRUE(same(expected, prefetched->next(i == 2 ? longer : shape)));
    }
    EXPECT_FALSE(same(source(setting, 1)->next(shape), source(setting, 2)->next(shape))) << "the seed";
    EXPECT_THROW(again->restore(Json::object()), Error);
    EXPECT_THROW(again->restore(Json::array({1})), Error);
  }
}

TEST_F(Sources, RandomRowsAreInsideOneText) {
  put("two/a.txt", std::string(700, 'a'));
  put("two/b.txt", std::string(2000, 'b'));
  put("two/c.txt", std::string(100, 'c'));  // too short for a row
  const auto made = source("text:path=@two");
  int64_t from_a = 0, rows = 0;
  for (int step = 0; step < 50; ++step) {
    const Batch batch = made->next({20, 512});
    EXPECT_TRUE(at::equal(batch.ids, batch.targets));
    from_a += batch.ids.select(1, 0).eq('a').sum().item<int64_t>();
    EXPECT_TRUE(at::equal(batch.ids, batch.ids.select(1, 0).unsqueeze(1).expand({20, 512})));
    rows += 20;
  }
  const double share = 188.0 / (188 + 1488);  // places for 513 tokens
  EXPECT_NEAR(static_cast<double>(from_a), share * static_cast<double>(rows), 5 * std::sqrt(share * static_cast<double>(rows)));
  EXPECT_THROW(made->next({1, 2000}), Error);
}

TEST_F(Sources, PackedTextsAreAllReadAndNeverMixed) {
  TokenizerSpec spec = byte_spec();
  spec.tokens.resize(257);
  spec.tokens[256] = "<end>";
  spec.kinds.assign(257, TokenKind::control);
  spec.eos = 256;
  const auto made = source("text:path=@short,order=packed", 1, make_tokenizer(spec));
  std::map<std::string, int> seen;
  std::string whole;
  for (int step = 0; step < 40; ++step) {
    const Batch batch = made->next({2, 200});
    const auto ids = numbers(batch.ids), targets = numbers(batch.targets), documents = numbers(batch.document);
    for (size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] == 256) {
        EXPECT_EQ(targets[t], -1);
        ++seen[whole];
        whole.clear();
      } else {
        EXPECT_GE(targets[t], 0);
        whole += static_cast<char>(ids[t]);
      }
      EXPECT_TRUE(t % 200 == 199 || documents[t + 1] - documents[t] == (ids[t] == 256 ? 1 : 0));
    }
  }
  EXPECT_EQ(seen.size(), 50u);
  int least = 1000, most = 0;
  for (const auto& [text, count] : seen) {
    EXPECT_TRUE(text.front() == '<' && text.back() == '>' && text.find('<', 1) == std::string::npos) << text;
    least = std::min(least, count);
    most = std::max(most, count);
  }
  EXPECT_LE(most - least, 1);
}

TEST_F(Sources, LanesFollowTheirTexts) {
  const auto made = source("text:path=@long,order=lanes,carry=1");
  std::vector<std::string> lanes(3);
  for (int step = 0; step < 30; ++step) {
    const Batch batch = made->next({3, 256});
    EXPECT_EQ(batch.continues, step > 0);
    const auto ids = numbers(batch.ids), documents = numbers(batch.document), targets = numbers(batch.targets);
    for (size_t b = 0; b < 3; ++b)
      for (size_t t = 0; t < 256; ++t) {
        const size_t i = b * 256 + t;
        lanes[b] += static_cast<char>(ids[i]);
        if (targets[i] < 0) lanes[b] += '|';
        EXPECT_TRUE(t == 255 || (targets[i] < 0) == (documents[i + 1] != documents[i]));
      }
  }
  std::set<std::string> texts;
  for (int i = 0; i < 7; ++i) texts.insert(prose(3000 + 701 * static_cast<size_t>(i), static_cast<uint64_t>(i)));
  int whole = 0;
  for (const auto& lane : lanes) {
    for (size_t at = 0, end; (end = lane.find('|', at)) != std::string::npos; at = end + 1, ++whole)
      EXPECT_TRUE(texts.contains(lane.substr(at, end - at)));
  }
  EXPECT_GE(whole, 3);
  EXPECT_FALSE(made->next({2, 256}).continues) << "other rows";
  EXPECT_TRUE(made->next({2, 128}).continues);
}

TEST_F(Sources, MixturesKeepTheirWeights) {
  put("a/a.txt", std::string(1000, 'a'));
  put("b/b.txt", std::string(1000, 'b'));
  put("c/c.txt", std::string(1000, 'c'));
  const auto made = source("0.61*text:path=@a + 0.29*text:path=@b + 0.1*text:path=@c");
  std::map<int64_t, int64_t> rows;
  for (int64_t step = 1; step <= 200; ++step) {
    const Batch batch = made->next({3, 64});
    for (const int64_t id : numbers(batch.ids.select(1, 0))) ++rows[id];
    EXPECT_LE(std::abs(static_cast<double>(rows['a']) - 0.61 * 3 * static_cast<double>(step)), 1.0);
    EXPECT_LE(std::abs(static_cast<double>(rows['c']) - 0.1 * 3 * static_cast<double>(step)), 1.0);
    EXPECT_NEAR(batch.share.sum().item<double>(), 1, 1e-5) << "one loss for all text";
  }
  EXPECT_EQ(source("text:path=@a + passkey")->kinds().size(), 9u);
  BatchShape only_b{3, 64};
  only_b.shares = {0, 2, 0};
  for (int step = 0; step < 5; ++step) EXPECT_TRUE(made->next(only_b).ids.eq('b').all().item<bool>());
  EXPECT_GT(made->next({100, 64}).ids.eq('a').sum().item<int64_t>(), 50 * 64);
  only_b.shares = {1, 1};
  EXPECT_THROW(made->next(only_b), Error);
  EXPECT_EQ(made->parts(), 3);
  EXPECT_EQ(source("text:path=@a + text:path=@b | pose:target=100")->parts(), 2);
}

TEST_F(Sources, OfTheSameTextsReadThemOnce) {
  const SourceNeeds needs{bytes, 1};
  const std::string folder = root / "long",
                    setting =
                        fmt::format("0.5*text:path={} + 0.3*passkey:path={} + 0.2*text:path={},only=1", folder, folder, folder);
  make_source(setting, needs)->next({4, 512, 256, 1});
  EXPECT_EQ(needs.stores->size(), 2U);
  EXPECT_GT((needs.stores->at({folder, "text", ""}).size()), (needs.stores->at({folder, "text", "1"}).size()));
  for (int i = 0; i < 2; ++i) EXPECT_THROW(needs.tokens({folder + "/none"}), Error) << "again";
}

TEST_F(Sources, PositionsAreThoseOfALongText) {
  const auto pose = source("text:path=@long | pose:target=4096,parts=3"), random = source("text:path=@long | random:target=4096");
  std::vector<int64_t> met(4096);
  for (int step = 0; step < 400; ++step) {
    const auto jumps = numbers(pose->next({1, 256}).positions);
    int moved = 0;
    for (size_t t = 1; t < 256; ++t) {
      ASSERT_GE(jumps[t], jumps[t - 1] + 1);
      moved += jumps[t] != jumps[t - 1] + 1;
    }
    EXPECT_LE(moved, 2);
    EXPECT_EQ(jumps[0], 0);
    EXPECT_LT(jumps[255], 4096);
    const auto places = numbers(random->next({1, 256}).positions);
    EXPECT_EQ(std::set<int64_t>(places.begin(), places.end()).size(), 256u);
    EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
    for (const int64_t place : places) ++met.at(static_cast<size_t>(place));
  }
  double chi = 0;  // 4095 degrees of freedom, smaller than Poisson's since places are not drawn twice
  for (const int64_t n : met) chi += (static_cast<double>(n) - 25) * (static_cast<double>(n) - 25) / 25;
  EXPECT_NEAR(chi, 4095 * (1 - 256.0 / 4096), 6 * std::sqrt(2 * 4095.0));
  EXPECT_THROW(pose->next({1, 8192}), Error);
}

TEST_F(Sources, CopiesAndPairsAnswerWhatWasShown) {
  const auto copy = source("copy:symbols=16"), pairs = source("associative:pairs=20,symbols=64");
  for (int step = 0; step < 20; ++step) {
    const auto copied = numbers(copy->next({1, 100}).ids);
    for (size_t t = 50; t < 100; ++t) EXPECT_EQ(copied[t], copied[t - 50]);
    const Batch batch = pairs->next({1, 256});
    const auto ids = numbers(batch.ids), targets = numbers(batch.targets);
    std::map<int64_t, int64_t> shown;
    for (size_t i = 0; i < 40; i += 2) EXPECT_TRUE(shown.emplace(ids[i], ids[i + 1]).second);
    int asked = 0;
    for (size_t t = 0; t < 256; ++t) {
      if (targets[t] < 0) continue;
      ++asked;
      EXPECT_EQ(targets[t], shown.at(ids[t]));
      shown.erase(ids[t]);
    }
    EXPECT_EQ(asked, 20);
  }
}

TEST_F(Sources, SayWhatIsWrong) {
  const auto error = [&](const std::string& setting) {
    try {
      source(setting)->next({2, 256, 64});
    } catch (const Error& thrown) {
      return std::string(thrown.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(error("txt:path=@long").find("did you mean 'text'"), std::string::npos) << error("txt:path=@long");
  EXPECT_NE(error("text:pth=@long").find("path"), std::string::npos);
  EXPECT_NE(error("text").find("path= must name"), std::string::npos);
  EXPECT_NE(error("text:path=@gone").find("there is no"), std::string::npos);
  EXPECT_NE(error("text:path=@short").find("order=packed"), std::string::npos);
  EXPECT_NE(error("text:path=@long,order=sorted").find("random, packed or lanes"), std::string::npos);
  EXPECT_NE(error("0*copy").find("above 0"), std::string::npos);
  EXPECT_NE(error("copy | rope:target=4").find("pose and random"), std::string::npos);
  EXPECT_NE(error("copy | pose").find("target"), std::string::npos);
  EXPECT_NE(error("passkey:rows=0.5").find("path= must name"), std::string::npos);
  EXPECT_NE(error("passkey:wordings=two").find("known: one, many"), std::string::npos) << error("passkey:wordings=two");
  EXPECT_NE(error("passkey:keys=runes").find("digits"), std::string::npos);
  EXPECT_NE(error("associative:pairs=100").find("pairs need rows"), std::string::npos);
}

}  // namespace
}  // namespace longview::testing
