"""The rules of the small world: what an English beginner says, and how a Chinese teacher would put it.

A rule is one line, ``[modes weight] english = chinese``. Notation:

- ``<name>`` is a slot, filled alike on both sides: a group of `PHRASES`, a list of the lexicon, or a determiner (a,
  the, this, own, my, obj, def, lone, sole ...) or ``adj`` with a class of words. ``<x=this food>`` names a slot that
  is mentioned again as ``<x>``. ``{food|wear}`` makes one rule per word; ``{}`` repeats the word.
- ``<vp:p.past>``: mode p inside, verb form past outside; ``.er`` and ``.est`` compare. ``be.s`` agrees with slot s.
- ``word#1`` and ``字#1`` are linked, as are words of equal tag; ``#vp`` links to the head of slot vp. Fillers of a slot
  are linked inside already, punctuation by itself, and in a rule that opens with an untagged word on both sides these
  two. Everything else is unlinked: it has no counterpart.
- ``~`` is where 了 or 过 goes when ``<vp+了>`` asks for it. ``[@her]`` says who a phrase is, for agreement and "her".
- ``<slot@2>`` on the Chinese side is the second mention on the English side. ``be.subject``, in a group, agrees with
  the subject of the sentence around it.

Modes (what a verb phrase is fit for): n going on now, p past, d habit, w wish, ability or command, x denied, e ever
done, k skill, b on the scale of months and years.
"""

# ruff: noqa: E501 (a rule is one line, and a Chinese character counts twice)

SUBJECT_SLOTS = ("s", "q", "pronoun", "other", "name", "t")

PHRASES = """
-- who

s
  [ 8] <pronoun> = <pronoun>
  [ 3] <name> = <name>
  [ 3] <my kin> = <my kin>
  [ 2] <the person> = <the person>
  [ .5] <this person> = <this person>
  [ .5] <that person> = <that person>
  [ 1] <my mate> = <my mate>
  [@their .7] the children#1 = 孩子们#1
  [@their .7] the students#1 = 学生们#1
  [@their .5] my#1 friends#2 = 我#1 的#1 朋友们#2
  [@their .5] <my folks> = <my folks>
  [@their .7] <name> and#1 <name2> = <name> 和#1 <name2>
  [@our .5] <name> and#1 I#2 = <name> 和#1 我#2

q
  [@your 5] you = 你
  [ 3] <other> = <other>
  [ 1.5] <name> = <name>
  [ 1.5] <your kin> = <your kin>
  [ .7] <the person> = <the person>
  [@their .5] the children#1 = 孩子们#1
  [@their .4] <your folks> = <your folks>

third
  [ 3] <other> = <other>
  [ 2] <name> = <name>
  [ 2] <my kin> = <my kin>
  [ 2] <the person> = <the person>
  [ 1] <my mate> = <my mate>

single
  [@his 2] he = 他
  [@her 2] she = 她
  [ 2] <name> = <name>
  [ 2] <my kin> = <my kin>
  [ 1] <the person> = <the person>

whom
  [ 6] <objectpronoun> = <objectpronoun>
  [ 2] <name> = <name>
  [ 2] <my kin> = <my kin>
  [ .7] <the person> = <the person>
  [ .7] <my mate> = <my mate>

mine
  mine#1 = 我#1 的#1
  yours#1 = 你#1 的#1
  his#1 = 他#1 的#1
  hers#1 = 她#1 的#1
  ours#1 = 我们#1 的#1
  theirs#1 = 他们#1 的#1

-- what they do

vp
  [npdwx] read <obj read> = 看 ~ <obj read>
  [e] read <obj read> = 看 ~ <obj read>
  [npdwx] write <obj write> = 写 ~ <obj write>
  [npdwx 3] eat <obj food> = 吃 ~ <obj food>
  [npdwx] eat <bare meal> = 吃 ~ <bare meal>
  [npdwx .6] have <bare meal> = 吃 ~ <bare meal>
  [e .7] eat <many food> = 吃 ~ <many food>
  [e] eat Chinese#1 food#2 = 吃 ~ 中国#1 菜#2
  [npdwx 2] drink <obj drink> = 喝 ~ <obj drink>
  [e .5] drink <bare drink> = 喝 ~ <bare drink>
  [npdwx] cook <bare meal> = 做 ~ <bare meal>
  [ndwxk] cook = 做饭 ~
  [npdwx] watch TV#1 = 看 电视#1 ~
  [npdwxe] watch <obj film> = 看 ~ <obj film>
  [e .5] see <obj film> = 看 ~ <obj film>
  [npdwx] listen to <bare sound> = 听 <bare sound> ~
  [npdwe] listen to <obj song> = 听 ~ <obj song>
  [npdwxk] play soccer#1 = 踢 足球#1 ~
  [npdwxk] play basketball#1 = 打 篮球#1 ~
  [npdwxk] play tennis#1 = 打 网球#1 ~
  [ndwxk .7] play the piano#1 = 弹 钢琴#1 ~
  [ndwxk .7] play the guitar#1 = 弹 吉他#1 ~
  [npdwxk .7] play chess#1 = 下 棋#1 ~
  [npdwxk .5] play cards#1 = 打 牌#1 ~
  [npdwx .7] play computer#1 games#2 = 玩 电脑#1 游戏#2 ~
  [ndwxk .7] sing = 唱歌 ~
  [ndwxk .7] dance = 跳舞 ~
  [npdwxk] swim = 游泳 ~
  [npdwx .7] run = 跑步 ~
  [npdwx .7] take#1 a walk#1 = 散步#1 ~
  [nwx .8] sleep = 睡觉 ~
  [npwx .6] rest = 休息 ~
  [npdwx] work = 工作 ~
  [ndw .6] work#1 hard#2 = 努力#2 工作#1 ~
  [npdwx] study = 学习 ~
  [ndw .6] study#1 hard#2 = 努力#2 学习#1 ~
  [ndwxeb] learn <language> = 学 ~ <language>
  [ndwx] study <subjectmatter> = 学 ~ <subjectmatter>
  [ndwx .7] study <language> = 学 ~ <language>
  [nw .7] learn to <vp:k> = 学 <vp:k> ~
  [k 3] speak <language> = 说 <language>
  [npdwx] do <ones> homework#1 = 做 ~ <ones> 作业#1
  [npdwx .6] wash <ones> hands#1 = 洗 <ones> 手#1 ~
  [npdwx .4] wash <ones> face#1 = 洗 <ones> 脸#1 ~
  [npdwx .6] brush <ones> teeth#1 = 刷 <ones> 牙#1 ~
  [npdwx .4] wash <ones> hair#1 = 洗 <ones> 头发#1 ~
  [npwx .7] wash <obj washed> = 洗 ~ <obj washed>
  [npdwx .5] wash the dishes#1 = 洗 碗#1 ~
  [npdwx .5] take#1 a shower#1 = 洗澡#1 ~
  [npdwx .7] clean <ones> room#1 = 打扫 ~ <ones> 房间#1
  [npwx .4] clean the kitchen#1 = 打扫 ~ 厨房#1
  [npdwx .4] do the housework#1 = 做 家务#1 ~
  [pwx 3] buy <obj buy> = 买 ~ <obj buy>
  [pwxb] buy <obj device> = 买 ~ <obj device>
  [pwxb] buy <obj {vehicle|home}> = 买 ~ <obj {}>
  [w .5] drive <obj drive> = 开 ~ <obj drive>
  [ndwxk] drive = 开车 ~
  [nwxke] ride a bike#1 = 骑 ~ 自行车#1
  [nwxke] ride a horse#1 = 骑 ~ 马#1
  [pdwx 2] go to <the place> = 去 ~ <the place>
  [pwxb] go to <country> = 去 ~ <country>
  [pwx .7] go to <town> = 去 ~ <town>
  [dwx] go#1 to work#1 = 上班#1 ~
  [dwx] go#1 to school#1 = 上学#1 ~
  [pdwx] go home#1 = 回 家#1 ~
  [pdwx .5] come home#1 = 回 家#1 ~
  [wx] go#1 to bed#1 = 睡觉#1 ~
  [dwx .5] get#1 up#1 early#2 = 早#2 起#1 ~
  [dwx .5] go#1 to bed#1 early#2 = 早#2 睡#1 ~
  [pdwx .8] go shopping#1 = 去 购物#1 ~
  [pwx .6] go#1 out#1 = 出去#1 ~
  [wx .5] leave = 离开 ~
  [wdx .5] come here#1 = 来 这儿#1 ~
  [pwx] visit <whom> = 看望 ~ <whom>
  [pwx .7] visit <the visited> = 参观 ~ <the visited>
  [pwx .7] meet <whom> = 见 ~ <whom>
  [npdwx] call#1 <whom> = 给#1 <whom> 打#1 ~ 电话#1
  [npdwx] help <whom> = 帮助 ~ <whom>
  [nwx] wait for <whom> = 等 ~ <whom>
  [nwx .5] wait for <sole awaited> = 等 ~ <sole awaited>
  [nw] look#1 for <own found> = 找#1 ~ <own found>
  [nw .5] look at <obj lookedat> = 看 ~ <obj lookedat>
  [ndwx] talk#1 {with|to}#2 <whom> = 和#2 <whom> 说话#1 ~
  [ndwx .7] take#1 photos#1 = 拍照#1 ~
  [pdwx .5] take a taxi#1 = 坐 出租车#1 ~
  [pdwx .3] take the bus#1 = 坐 公交车#1 ~
  [pdwx .3] take the train#1 = 坐 火车#1 ~
  [pdwx .3] take the subway#1 = 坐 地铁#1 ~
  [pwx .7] open <the door> = 打开 ~ <the door>
  [pwx .7] close <the door> = 关上 ~ <the door>
  [pwx .7] turn#1 on#1 <the switch> = 打开#1 ~ <the switch>
  [pwx .7] turn#1 off#1 <the switch> = 关掉#1 ~ <the switch>
  [nwx] use <obj device> = 用 ~ <obj device>
  [npwx .8] fix <obj fixed> = 修 ~ <obj fixed>
  [pwx .8] borrow <obj lent> = 借 ~ <obj lent>
  [pwx .6] bring <obj lent> = 带 ~ <obj lent>
  [npw .7] make <a baked> = 做 ~ <a baked>
  [npw .7] draw <a {pet|animal}> = 画 ~ <a {}>
  [npdw .8] feed <the fed> = 喂 ~ <the fed>
  [wx .6] wear <obj worn> = 穿 ~ <obj worn>
  [wx .3] wear <obj puton> = 戴 ~ <obj puton>
  [dx .7] smoke = 抽烟 ~
  [n .5] cry = 哭 ~
  [n .5] laugh = 笑 ~
  [ndw .5] exercise = 锻炼 ~
  [w .7] travel = 旅行 ~
  [pwxb] travel#1 to#2 <country> = 去#2 <country> 旅行#1 ~
  [dwx .6] stay at#1 home#2 = 待 在#1 家里#2
  [ndw .6] teach <language> = 教 <language>
  [pw .6] ask <whom> a#1 question#2 = 问 ~ <whom> 一#1 个#1 问题#2
  [pwx .6] answer <obj asked> = 回答 ~ <obj asked>
  [pwx .5] see a doctor#1 = 看 医生#1 ~
  [pdwx .5] take medicine#1 = 吃 药#1 ~
  [npwx .5] tell <obj told> = 讲 ~ <obj told>
  [npw .5] send <a sent> = 发 ~ <a sent>

bigvp
  [ 2] <vp:b> = <vp:b>

seek
  eat = 吃 ~
  drink = 喝 ~
  read = 看 ~
  buy = 买 ~
  write = 写 ~
  cook = 做 ~
  watch = 看 ~
  draw = 画 ~


-- what they do at a certain hour

earlyvp
  get#1 up#1 = 起床#1 ~
  eat <earlymeal> = 吃 ~ <earlymeal>
  go#1 to work#1 = 上班#1 ~
  go#1 to school#1 = 上学#1 ~
  leave home#1 = 离开 ~ 家#1

earlymeal
  breakfast = 早饭

latevp
  go#1 to bed#1 = 睡觉#1 ~
  go home#1 = 回 家#1 ~
  come home#1 = 回 家#1 ~
  eat dinner#1 = 吃 ~ 晚饭#1
  cook dinner#1 = 做 ~ 晚饭#1
  do <ones> homework#1 = 做 ~ <ones> 作业#1
  take#1 a shower#1 = 洗澡#1 ~

-- what they do somewhere: the action first, then the place

placed
  [ndw] study#1 at#2 the library#3 = 在#2 图书馆#3 学习#1
  [ndw] study#1 at#2 home#3 = 在#2 家#3 学习#1
  [ndw] work#1 at#2 home#3 = 在#2 家#3 工作#1
  [dw 2] work#1 in#2 <a workplace> = 在#2 <a workplace> 工作#1
  [ndw] eat#1 lunch#4 at#2 school#3 = 在#2 学校#3 吃#1 午饭#4
  [ndw] eat#1 dinner#4 at#2 home#3 = 在#2 家#3 吃#1 晚饭#4
  [ndw] eat#1 dinner#4 at#2 the restaurant#3 = 在#2 饭馆#3 吃#1 晚饭#4
  [ndw] read#1 books#4 at#2 the library#3 = 在#2 图书馆#3 看#1 书#4
  [ndw] read#1 the newspaper#4 in#2 the living#3 room#3 = 在#2 客厅#3 看#1 报纸#4
  [ndw] watch#1 TV#4 in#2 the living#3 room#3 = 在#2 客厅#3 看#1 电视#4
  [ndw] cook#1 <bare meal> in#2 the kitchen#3 = 在#2 厨房#3 做#1 <bare meal>
  [ndw] sleep#1 in#2 the bedroom#3 = 在#2 卧室#3 睡觉#1
  [ndw] play#1 in#2 the garden#3 = 在#2 花园#3 玩#1
  [ndw] play#1 in#2 the park#3 = 在#2 公园#3 玩#1
  [ndw] run#1 in#2 the park#3 = 在#2 公园#3 跑步#1
  [ndw] take#1 a walk#1 in#2 the park#3 = 在#2 公园#3 散步#1
  [ndw] take#1 a walk#1 on#2 the beach#3 = 在#2 海边#3 散步#1
  [dw] swim#1 in#2 the sea#3 = 在#2 海里#3 游泳#1
  [ndw] buy#1 <plural fruit> at#2 the supermarket#3 = 在#2 超市#3 买#1 <plural fruit>
  [dw] buy#1 clothes#4 at#2 the market#3 = 在#2 市场#3 买#1 衣服#4
  [ndw] drink#1 coffee#4 at#2 the cafe#3 = 在#2 咖啡馆#3 喝#1 咖啡#4
  [ndw] exercise#1 at#2 the gym#3 = 在#2 健身房#3 锻炼#1
  [nw] wait#1 for <whom> at#2 <the {build|stop}> = 在#2 <the {}> 等#1 <whom>
  [nw] talk#1 with#4 <whom> in#2 the office#3 = 在#2 办公室#3 和#4 <whom> 说话#1
  [ndw] teach#1 <language> at#2 <a teachplace> = 在#2 <a teachplace> 教#1 <language>

-- when

pasttime
  [ 3] yesterday = 昨天
  yesterday#1 afternoon#2 = 昨天#1 下午#2
  last#1 weekend#2 = 上#1 个#1 周末#2
  last#1 <weekday> = 上#1 个#1 <weekday>
  on <weekday> = <weekday>
  <count> days#1 ago#2 = <count> 天#1 前#2
  last#1 week#2 = 上#1 个#1 星期#2

bigpast
  last#1 month#2 = 上#1 个#1 月#2
  last#1 year#1 = 去年#1
  last#1 <season> = 去年#1 <season>
  <count> years#1 ago#2 = <count> 年#1 前#2
  <count> months#1 ago#2 = <count> 个#1 月#1 前#2
  in <month> = <month>

future
  [ 4] tomorrow = 明天
  tomorrow#1 morning#2 = 明天#1 上午#2
  tomorrow#1 afternoon#2 = 明天#1 下午#2
  this#1 afternoon#2 = 今天#1 下午#2
  this#1 evening#2 = 今天#1 晚上#2
  tonight = 今晚
  on <weekday> = <weekday>
  this#1 weekend#2 = 这个#1 周末#2
  after#1 work#2 = 下班#2 以后#1

bigfuture
  next#1 week#2 = 下#1 个#1 星期#2
  next#1 month#2 = 下#1 个#1 月#2
  next#1 year#1 = 明年#1
  next#1 <season> = 明年#1 <season>
  this#1 year#1 = 今年#1
  in <month> = <month>
  soon = 很快

daily
  [ 4] every#1 day#2 = 每#1 天#2
  every#1 morning#2 = 每#1 天#1 早上#2
  every#1 evening#2 = 每#1 天#1 晚上#2
  every#1 <weekday> = 每#1 个#1 <weekday>
  on weekends#1 = 周末#1
  in the morning#1 = 早上#1
  in the afternoon#1 = 下午#1
  in the evening#1 = 晚上#1

howoften
  [ 2] always = 总是
  [ 2] often = 常常
  [ 2] usually = 一般
  [ 2] sometimes = 有时候
  never#1 = 从来#1 不#1

clock
  [ 4] <hour> o'clock#1 = <hour> 点#1
  half#1 past#2 <hour> = <hour> 点#2 半#1
  <hour> thirty#1 = <hour> 点 半#1
  ten#1 past#2 <hour> = <hour> 点#2 十#1 分#1

earlyhour
  [ 3] <morninghour> o'clock#1 = <morninghour> 点#1
  [ 2] half#1 past#2 <morninghour> = <morninghour> 点#2 半#1
  <morninghour> thirty#1 = <morninghour> 点 半#1

latehour
  [ 3] <eveninghour> o'clock#1 = <eveninghour> 点#1
  [ 2] half#1 past#2 <eveninghour> = <eveninghour> 点#2 半#1
  <eveninghour> thirty#1 = <eveninghour> 点 半#1

morninghour
  six = 六
  seven = 七
  eight = 八
  nine = 九

eveninghour
  six = 六
  seven = 七
  eight = 八
  nine = 九
  ten = 十
  eleven = 十一

-- where

spot
  on#1 <sole top> = <sole top> 上#1
  under#1 <sole top> = <sole top> 下面#1
  on#1 <sole seat> = <sole seat> 上#1
  under#1 <sole seat> = <sole seat> 下面#1
  in#1 <sole box> = <sole box> 里#1
  next#1 to#1 <sole box> = <sole box> 旁边#1
  behind#1 <sole door> = <sole door> 后面#1
  in#1 front#1 of#1 <sole furniture> = <sole furniture> 前面#1

whereabouts
  [ 3] at#1 <the place> = 在#1 <the place>
  at#1 home#2 = 在#1 家#2
  at#1 work#2 = 在#1 上班#2
  in#1 <the inside> = 在#1 <the inside>
  in#1 <town> = 在#1 <town>

-- one person, for "is a teacher"

one
  [@my 2] I = 我
  [@your 1.5] you = 你
  [@his 1.5] he = 他
  [@her 1.5] she = 她
  [ 2] <name> = <name>
  [ 2] <my kin> = <my kin>
  [ 1] <my mate> = <my mate>

askedone
  [@your 3] you = 你
  [@his 1.5] he = 他
  [@her 1.5] she = 她
  [ 1] <name> = <name>
  [ 1] <your kin> = <your kin>

-- what one is fond of

fond
  [ 3] <many liked> = <many liked>
  [ 1] <many food> = <many food>
  [ 1] <many drink> = <many drink>
  [ 1] <many animal> = <many animal>
  [ .5] <season> = <season>
  [ .7] <subjectmatter> = <subjectmatter>
  [ .5] <language> = <language>
  [ .7] <country> = <country>
  [ .7] <town> = <town>
  [ 1] <whom> = <whom>
  [ .7] this#1 <bare city> = 这#1 个#1 <bare city>

known
  [ 3] <whom> = <whom>
  [ 1] <that person> = <that person>

-- things one has

owned
  [ 2] <a {device|thing|pet|vehicle}> = <a {}>
  [ 5] <num {device|thing|pet|print}> = <num {}>
  [ 1] <a sibling> = <a sibling>
  [ 1] <num sibling> = <num sibling>
  [ .5] many#1 friends#2 = 很多#1 朋友#2
  [ .5] a#1 lot#1 of#1 <plural {read|wear}> = 很多#1 <plural {}>

bareowned
  [ 2] a <bare {device|thing|pet|vehicle}> = <bare {}>
  [ 1] money#1 = 钱#1
  [ 1] time#1 = 时间#1
  [ .5] friends#1 = 朋友#1
  [ 1] a <bare sibling> = <bare sibling>

-- whole clauses, to stand inside others

fact
  [ 3] <s> be.s#1 <adj {feel|trait}> = <s> 很#1 <adj {}>
  [ 2] <x=def {food|drink|wear|device|vehicle|home|film|song|read}> be.x#1 <adj {}> = <x> 很#1 <adj {}>
  [ 1] <single> be.single#1 <role job> = <single> 是#1 <role job>
  [ 1] <third> like.third#1 <fond> = <third> 喜欢#1 <fond>
  [ 1] <third> will#1 <vp:w> = <third> 会#1 <vp:w>
  [ 1] it will#1 rain#2 <future> = <future> 会#1 下雨#2
  [ 1] <language> is#1 <adj skill> = <language> 很#1 <adj skill>
  [ 1] <town> is#1 <adj city> = <town> 很#1 <adj city>

wonder
  where#2 <t=third> be.t#1 = <t> 在#1 哪儿#2
  who#2 <t=third> be.t#1 = <t> 是#1 谁#2
  what#1 <t=third> like.t#2 = <t> 喜欢#2 什么#1
  what#1 <t=third> want.t#2 = <t> 想要#2 什么#1
  where#1 <t=third> live.t#2 = <t> 住#2 在#2 哪儿#1
  why#1 <t=third> be.t <adj feel> = <t> 为什么#1 <adj feel>
  when#1 <t=third> will#2 come#3 = <t> 什么#1 时候#1 会#2 来#3
  how#1 to <vp:k> = 怎么#1 <vp:k>
  what#1 this is#2 = 这 是#2 什么#1

-- smaller groups, each used by one or two constructions

working
  work = 工作
  study = 学习
  eat lunch#1 = 吃 午饭#1
  eat dinner#1 = 吃 晚饭#1
  buy clothes#1 = 买 衣服#1
  exercise = 锻炼
  swim = 游泳

permitted
  use <your {device|thing}> = 用 <your {}>
  borrow <your {lent|read}> = 借 <your {}>
  open <the door> = 打开 <the door>
  sit#1 here#2 = 坐#1 在#2 这儿#2
  go home#1 = 回 家#1
  go#1 with#2 <favored> = 和#2 <favored> 一起#2 去#1
  watch TV#1 = 看 电视#1
  drink <cup drink> = 喝 <cup drink>
  try#1 on#1 <this wear> = 试试#1 <this wear>

forbidden
  smoke = 抽烟
  swim = 游泳
  eat#1 = 吃#1 东西
  sleep = 睡觉
  take#1 photos#1 = 拍照#1
  sing = 唱歌
  play soccer#1 = 踢 足球#1
  talk = 说话

favor
  help <favored> = 帮助 <favored>
  wait for <favored> = 等 <favored>
  sit#1 down#2 = 坐#1 下#2
  stand#1 up#2 = 站#1 起来#2
  come here#1 = 来 这儿#1
  speak#1 slowly#2 = 说#1 慢#2 一点#2
  speak#1 <language> with#2 me#3 = 和#2 我#3 说#1 <language>
  call#1 me#2 tomorrow#3 = 明天#3 给#1 我#2 打#1 电话#1
  write#1 your#2 name#3 here#4 = 在#4 这儿#4 写#1 你#2 的#2 名字#3
  look at <this {lookedat|read}> = 看 <this {}>
  clean <your room> = 打扫 <your room>
  feed <the fed> = 喂 <the fed>
  bring#1 me#2 <cup drink> = 给 我#2 拿#1 <cup drink>
  read <this read> = 看 <this read>
  answer <this asked> = 回答 <this asked>
  tell#1 me#2 your#3 name#4 = 告诉#1 我#2 你#3 的#3 名字#4
  say#1 it again#2 = 再#2 说#1 一 遍

favored
  [ 2] me = 我
  [ 2] us = 我们
  <name> = <name>

wanted
  [ 3] <a {device|wear|pet|vehicle|thing|fruit}> = <a {}>
  [ 2] <cup {drink|food}> = <cup {}>
  [ 1] <this {wear|read|device}> = <this {}>

onto
  on#1 <sole top> = <sole top> 上#1
  on#1 <sole seat> = <sole seat> 上#1
  in#1 <sole box> = <sole box> 里#1
  under#1 <sole seat> = <sole seat> 下面#1

-- cause and effect: t tired, h hungry, i ill, b busy, m no money, y thirsty, r rain

cause
  [t] be.subject#1 tired#2 = 很#1 累#2
  [t] be.subject#1 sleepy#2 = 很#1 困#2
  [h] be.subject#1 hungry#2 = 很#1 饿#2
  [i] be.subject sick#1 = 病#1 了#1
  [i] have.subject a cold#1 = 感冒#1 了#1
  [i] have.subject a headache#1 = 头疼#1
  [b] be.subject#1 busy#2 = 很#1 忙#2
  [b] have.subject#1 a#2 lot#2 of#2 homework#3 = 有#1 很多#2 作业#3
  [b] have.subject#1 no#2 time#3 = 没#2 有#1 时间#3
  [m] have.subject#1 no#2 money#3 = 没#2 有#1 钱#3
  [y] be.subject#1 thirsty#2 = 很#1 渴#2

effect
  [t] want.subject#1 to sleep#2 = 想#1 睡觉#2
  [t] want.subject#1 to rest#2 = 想#1 休息#2
  [tib] do.subject not#1 want#2 to go#3 out#3 = 不#1 想#2 出去#3
  [t] be.subject going#1 to#1 go#2 to bed#2 early#3 = 要#1 早#3 睡#2
  [ti] want.subject#1 to go#2 home#3 = 想#1 回#2 家#3
  [t] do.subject not#1 want#2 to cook#3 = 不#1 想#2 做饭#3
  [h] want.subject#1 to eat#2 <a {fruit|food}> = 想#1 吃#2 <a {}>
  [h] want.subject#1 to eat#2 <cup food> = 想#1 吃#2 <cup food>
  [h] be.subject going#1 to#1 cook#2 dinner#3 = 要#1 做#2 晚饭#3
  [h] want.subject#1 to go#2 to the restaurant#3 = 想#1 去#2 饭馆#3
  [i] have.subject#1 to#1 see#2 a doctor#3 = 必须#1 看#2 医生#3
  [i] need.subject#1 to take#2 medicine#3 = 需要#1 吃#2 药#3
  [i] need.subject#1 to rest#2 = 需要#1 休息#2
  [ib] can#9 not#1 come#2 today#3 = 今天#3 不#1 能#9 来#2
  [i] can#9 not#1 go#2 to work#2 = 不#1 能#9 上班#2
  [i] can#9 not#1 go#2 to school#2 = 不#1 能#9 上学#2
  [b] can#9 not#1 <vp:x> today#2 = 今天#2 不#1 能#9 <vp:x>
  [b] can#9 not#1 help#2 <whom> = 不#1 能#9 帮助#2 <whom>
  [m] can#9 not#1 buy#2 <this {wear|device|vehicle}> = 不#1 能#9 买#2 <this {}>
  [m] can#9 not#1 travel#2 to#3 <country> = 不#1 能#9 去#3 <country> 旅行#2
  [m] need.subject#1 to work#2 = 需要#1 工作#2
  [y] want.subject#1 to drink#2 <cup drink> = 想#1 喝#2 <cup drink>
  [y] want.subject#1 to drink#2 <bare drink> = 想#1 喝#2 <bare drink>
  [r] do.subject not#1 want#2 to go#3 out#3 = 不#1 想#2 出去#3
  [r] need.subject#1 an umbrella#2 = 需要#1 雨伞#2
  [r] can#9 not#1 play#2 soccer#3 = 不#1 能#9 踢#2 足球#3
  [r] can#9 not#1 play#2 tennis#3 = 不#1 能#9 打#2 网球#3
  [r] can#9 not#1 go#2 to <the place> = 不#1 能#9 去#2 <the place>

advice
  [t] rest = 休息
  [t] sleep = 睡觉
  [ti] go home#1 = 回 家#1
  [h] eat <a {fruit|food}> = 吃 <a {}>
  [i] see a doctor#1 = 看 医生#1
  [i] take#1 medicine#2 = 吃#1 药#2
  [i] stay#1 at#2 home#3 = 待#1 在#2 家里#3
  [y] drink <cup drink> = 喝 <cup drink>
  [y] drink <bare drink> = 喝 <bare drink>

rainplan
  stay#1 at#2 home#3 = 待#1 在#2 家里#3
  watch TV#1 = 看 电视#1
  read a book#1 = 看 书#1
  take#1 a taxi#2 = 坐#1 出租车#2
  take#1 the bus#2 = 坐#1 公交车#2
  cook = 做饭
  listen to music#1 = 听 音乐#1

outing
  go to <the place> = 去 <the place>
  take#1 a walk#1 = 散步#1
  play soccer#1 = 踢 足球#1
  play basketball#1 = 打 篮球#1
  go swimming#1 = 去 游泳#1
  go shopping#1 = 去 购物#1
  eat <bare meal> = 吃 <bare meal>

comfort
  listen to music#1 = 听 音乐#1
  drink <bare hotdrink> = 喝 <bare hotdrink>
  eat chocolate#1 = 吃 巧克力#1
  call#1 <whom> = 给#1 <whom> 打#1 电话#1
  talk#1 to#2 <whom> = 和#2 <whom> 说话#1
  stay#1 at#2 home#3 = 待#1 在#2 家里#3
  watch TV#1 = 看 电视#1
  take#1 a walk#1 = 散步#1

-- although: what one would not expect after it

even
  [a] be.subject#1 rich#2 = 很#1 有钱#2
  [b] be.subject#1 tired#2 = 很#1 累#2
  [c] be.subject#1 busy#2 = 很#1 忙#2
  [d] be.subject#1 poor#2 = 很#1 穷#2
  [e] be.subject#1 young#2 = 很#1 年轻#2

still
  [a] be.subject not#1 happy#2 = 不#1 高兴#2
  [a] do.subject not#1 have#2 friends#3 = 没#1 有#2 朋友#3
  [a] work.subject#3 every#1 day#2 = 每#1 天#2 工作#3
  [bc] be.subject very#2 happy#3 = 非常#2 高兴#3
  [bc] have.subject#1 to#1 cook#2 = 必须#1 做饭#2
  [bc] want.subject#1 to help#2 <whom> = 想#1 帮助#2 <whom>
  [c] exercise.subject#1 every#2 day#3 = 每#2 天#3 锻炼#1
  [c] often#1 help.subject#2 <whom> = 常常#1 帮助#2 <whom>
  [d] be.subject#1 happy#2 = 很#1 高兴#2
  [d] be.subject#1 honest#2 = 很#1 诚实#2
  [d] often#1 help.subject#2 <whom> = 常常#1 帮助#2 <whom>
  [e] be.subject#1 <adj matured> = 很#1 <adj matured>
  [e] have.subject#1 a#2 lot#2 of#2 money#3 = 有#1 很多#2 钱#3

-- some people

several
  [@our 2] we = 我们
  [@their 2] they = 他们
  [@their] the children#1 = 孩子们#1
  [@their] the students#1 = 学生们#1
  [@their] my#1 friends#2 = 我#1 的#1 朋友们#2
  [@their] <these person> = <these person>

-- how one does something: verb, 得, adverb

manner
  run#1 fast#2 = 跑#1 得#1 很#2 快#2
  run#1 slowly#2 = 跑#1 得#1 很#2 慢#2
  walk#1 fast#2 = 走#1 得#1 很#2 快#2
  walk#1 slowly#2 = 走#1 得#1 很#2 慢#2
  swim#1 fast#2 = 游#1 得#1 很#2 快#2
  swim#1 well#2 = 游#1 得#1 很#2 好#2
  sing#1 well#2 = 唱#1 得#1 很#2 好#2
  sing#1 beautifully#2 = 唱#1 得#1 很#2 好听#2
  dance#1 well#2 = 跳#1 得#1 很#2 好#2
  dance#1 beautifully#2 = 跳#1 得#1 很#2 漂亮#2
  drive#1 fast#2 = 开#1 得#1 很#2 快#2
  drive#1 slowly#2 = 开#1 得#1 很#2 慢#2
  drive#1 carefully#2 = 开#1 得#1 很#2 小心#2
  eat#1 slowly#2 = 吃#1 得#1 很#2 慢#2
  eat#1 a#2 lot#2 = 吃#1 得#1 很#2 多#2
  get#1 up#1 early#2 = 起#1 得#1 很#2 早#2
  get#1 up#1 late#2 = 起#1 得#1 很#2 晚#2
  sleep#1 well#2 = 睡#1 得#1 很#2 好#2
  speak#1 slowly#2 = 说#1 得#1 很#2 慢#2
  [ 3] speak#1 <language> well#2 = <language> 说#1 得#1 很#2 好#2
  [ 2] speak#1 <language> very#2 well#3 = <language> 说#1 得#1 非常#2 好#3
  [ 2] speak#1 <language> badly#2 = <language> 说#1 得#1 很#2 差#2
  write#1 <language> well#2 = <language> 写#1 得#1 很#2 好#2
  cook#1 well#2 = 做饭#1 做 得#1 很#2 好#2
  play#1 basketball#2 well#3 = 篮球#2 打#1 得#1 很#3 好#3
  play#1 soccer#2 well#3 = 足球#2 踢#1 得#1 很#3 好#3
  play#1 the piano#2 well#3 = 钢琴#2 弹#1 得#1 很#3 好#3

motion
  come#1 in#2 = 进#2 来#1
  go#1 in#2 = 进#2 去#1
  come#1 back#2 = 回#2 来#1
  go#1 back#2 = 回#2 去#1
  go#1 out#2 = 出#2 去#1
  come#1 out#2 = 出#2 来#1
  run#1 out#2 = 跑#1 出去#2
  walk#1 in#2 = 走#1 进来#2
  sit#1 down#2 = 坐#1 下#2
  stand#1 up#2 = 站#1 起来#2
  go#1 upstairs#2 = 上#2 楼#2 去#1
  come#1 downstairs#2 = 下#2 楼#2 来#1

-- go somewhere to do something

errand
  [ 2] go to the store#1 to buy#2 <obj buy> = 去 商店#1 买#2 ~ <obj buy>
  [ 2] go to the supermarket#1 to buy#2 <obj food> = 去 超市#1 买#2 ~ <obj food>
  go to the market#1 to buy#2 <plural fruit> = 去 市场#1 买#2 ~ <plural fruit>
  go to the bookstore#1 to buy#2 <obj print> = 去 书店#1 买#2 ~ <obj print>
  go to the library#1 to read#2 books#3 = 去 图书馆#1 看#2 ~ 书#3
  go to the library#1 to borrow#2 <obj print> = 去 图书馆#1 借#2 ~ <obj print>
  go to the hospital#1 to see#2 a doctor#3 = 去 医院#1 看#2 ~ 医生#3
  go to the hospital#1 to visit#2 <whom> = 去 医院#1 看望#2 ~ <whom>
  go to the park#1 to take#2 a walk#2 = 去 公园#1 散步#2 ~
  go to the park#1 to run#2 = 去 公园#1 跑步#2 ~
  go to the cinema#1 to watch#2 <obj film> = 去 电影院#1 看#2 ~ <obj film>
  go to the restaurant#1 to eat#2 <bare meal> = 去 饭馆#1 吃#2 ~ <bare meal>
  go to the cafe#1 to drink#2 coffee#3 = 去 咖啡馆#1 喝#2 ~ 咖啡#3
  go to the post#1 office#1 to send#2 <a letter> = 去 邮局#1 寄#2 ~ <a letter>
  go to the airport#1 to meet#2 <whom> = 去 机场#1 接#2 ~ <whom>
  go to the zoo#1 to see#2 <plural wild> = 去 动物园#1 看#2 ~ <plural wild>
  go to the station#1 to buy#2 <a ticket> = 去 车站#1 买#2 ~ <a ticket>
  go to the bank#1 to get#2 money#3 = 去 银行#1 取#2 ~ 钱#3
  go to the gym#1 to exercise#2 = 去 健身房#1 锻炼#2 ~
  go to <country> to study#1 <language> = 去 <country> 学#1 ~ <language>
  go to <town> to visit#1 <whom> = 去 <town> 看望#1 ~ <whom>

-- what one does with others

shared
  eat <bare meal> = 吃 ~ <bare meal>
  play soccer#1 = 踢 足球#1 ~
  play basketball#1 = 打 篮球#1 ~
  play tennis#1 = 打 网球#1 ~
  play chess#1 = 下 棋#1 ~
  play games#1 = 玩 游戏#1 ~
  go shopping#1 = 去 购物#1 ~
  take#1 a walk#1 = 散步#1 ~
  study = 学习 ~
  study <language> = 学 ~ <language>
  work = 工作 ~
  sing = 唱歌 ~
  dance = 跳舞 ~
  run = 跑步 ~
  swim = 游泳 ~
  watch TV#1 = 看 电视#1 ~
  watch movies#1 = 看 电影#1 ~
  listen to music#1 = 听 音乐#1 ~
  cook dinner#1 = 做 ~ 晚饭#1
  go to <the place> = 去 ~ <the place>

-- two things done at once

task
  eat <bare meal> = 吃 <bare meal>
  cook dinner#1 = 做 晚饭#1
  do <ones> homework#1 = 做 <ones> 作业#1
  work = 工作
  study = 学习
  run = 跑步
  walk = 走路
  clean <ones> room#1 = 打扫 <ones> 房间#1
  wash the dishes#1 = 洗 碗#1
  do the housework#1 = 做 家务#1
  drive = 开车

pastime
  listen to music#1 = 听 音乐#1
  sing = 唱歌
  talk = 说话
  listen#1 to the radio#2 = 听#1 广播#2

-- before and after

bedtime
  go#1 to bed#1 = 睡觉#1
  go#1 to work#1 = 上班#1
  go#1 to school#1 = 上学#1
  leave home#1 = 离开 家#1

prior
  brush <ones> teeth#1 = 刷 <ones> 牙#1
  take#1 a shower#1 = 洗澡#1
  drink <cup drink> = 喝 <cup drink>
  read a book#1 = 看 书#1
  wash <ones> face#1 = 洗 <ones> 脸#1
  listen to music#1 = 听 音乐#1

meals
  [ 2] eat <bare meal> = 吃 <bare meal>
  come home#1 = 回 家#1

-- praise and blame that go together

virtue
  smart = 聪明
  polite = 有礼貌
  tall = 高
  young = 年轻
  kind = 善良
  friendly = 友好
  strong = 强壮
  rich = 有钱
  honest = 诚实

wish
  <s> will#1 <vp:w> <future> = <s> <future> 会#1 <vp:w>
  <s> be.s#1 <adj glad> = <s> 很#1 <adj glad>
  it does not#1 rain#2 <future> = <future> 不#1 下雨#2
  <s> can#1 come#2 <future> = <s> <future> 能#1 来#2

-- weather, ways of travelling, spans of time

fall
  rain = 下雨 ~
  snow = 下雪 ~

fineness
  good = 好
  nice = 好
  bad = 差
  hot = 热
  cold = 冷

ridden
  by#2 bus#1 = 坐#2 公交车#1
  by#2 taxi#1 = 坐#2 出租车#1
  by#2 subway#1 = 坐#2 地铁#1
  by#2 bike#1 = 骑#2 自行车#1
  by#2 car#1 = 开#2 车#1

far
  by#2 train#1 = 坐#2 火车#1
  by#2 plane#1 = 坐#2 飞机#1
  by#2 bus#1 = 坐#2 公交车#1
  by#2 ship#1 = 坐#2 船#1

span
  <count> hours#1 = <count> 个#1 小时#1
  half#1 an#2 hour#2 = 半#1 个#2 小时#2
  <amount> minutes#1 = <amount> 分钟#1
  a long#2 time#3 = 很#2 长#2 时间#3

years
  <count> years#1 = <count> 年#1
  <count> months#1 = <count> 个#1 月#1
  a#1 year#2 = 一#1 年#2

notmine
  [ 3] your#1 = 你#1 的#1
  [ 2] his#1 = 他#1 的#1
  [ 2] her#1 = 她#1 的#1

close
  [ 3] my = 我
  [ 2] your = 你
  [ 2] his = 他
  [ 2] her = 她
  our = 我们

familyone
  [@my] I = 我
  [@his] he = 他
  [@her] she = 她
  my#1 <bare kin> = 我#1 <bare kin>

remark
  thank#1 you#2 = 谢谢#1 你#2
  thanks#1 = 谢谢#1
  thank#1 you#2 very#3 much#3 = 非常#3 感谢#1 你#2
  thank#1 you#2 for your#3 help#4 = 谢谢#1 你#2 的#3 帮助#4
  you are welcome#1 = 不客气#1
  excuse#1 me#1 = 打扰一下#1
  sorry#1 = 对不起#1
  I am sorry#1 = 对不起#1
  I am sorry#1 , I#2 am late#3 = 对不起#1 ， 我#2 迟到#3 了#3
  it does not matter#1 = 没关系#1
  that is all#1 right#1 = 没关系#1
  no#1 problem#2 = 没#1 问题#2
  I#1 am#2 fine#3 = 我#1 很#2 好#3
  I#1 am#2 fine#3 , thank#4 you#4 = 我#1 很#2 好#3 ， 谢谢#4
  nice#1 to meet#2 you#3 = 很 高兴#1 认识#2 你#3
  wait#1 a#2 moment#2 = 等#1 一下#2
  just a#2 moment#2 , please#3 = 请#3 等 一下#2
  do not#1 worry#2 = 别#1 担心#2
  do not#1 be late#2 = 别#1 迟到#2
  do not#1 forget#2 = 别#1 忘#2 了#2
  do not#1 cry#2 = 别#1 哭#2 了
  of#1 course#1 = 当然#1
  all#1 right#1 = 好#1 的#1
  OK#1 = 好#1 的#1
  yes#1 = 是的#1
  no#1 = 不#1
  I#1 see#2 = 我#1 明白#2 了#2
  I#1 think#2 so#3 = 我#1 也 这么#3 想#2
  I#1 do not#2 know#3 = 我#1 不#2 知道#3
  I#1 know#2 = 我#1 知道#2
  I#1 understand#2 = 我#1 懂#2
  I#1 do not#2 understand#3 = 我#1 不#2 懂#3
  I#1 forgot#2 = 我#1 忘#2 了#2
  I#1 agree#2 = 我#1 同意#2
  I#1 am lost#3 = 我#1 迷路#3 了#3
  I#1 am coming#2 = 我#1 来#2 了#2
  that is a good#3 idea#4 = 好#3 主意#4
  it is#1 late#2 = 很#1 晚#2 了
  I#1 miss#2 you#3 = 我#1 想#2 你#3
  I#1 miss#2 <my {kin|folks}> = 我#1 想#2 <my {}>
  I#1 am#2 full#3 = 我#1 吃饱#3 了#2
  long#1 time#1 no see#2 = 好久#1 不 见#2
  this#1 is#2 for#3 you#4 = 这#1 是#2 给#3 你#4 的

call
  hello#1 = 你好#1
  hi#1 = 你好#1
  good#1 morning#2 = 早上#2 好#1
  good#1 afternoon#2 = 下午#2 好#1
  good#1 evening#2 = 晚上#2 好#1
  good#1 night#2 = 晚安#1#2
  goodbye#1 = 再见#1
  bye#1 = 再见#1
  see#1 you tomorrow#2 = 明天#2 见#1
  see#1 you <future> = <future> 见#1
  see#1 you on <weekday> = <weekday> 见#1
  happy#1 birthday#2 = 生日#2 快乐#1
  happy#1 new#2 year#2 = 新年#2 快乐#1
  welcome#1 = 欢迎#1
  welcome#1 to <{country|town}> = 欢迎#1 来 <{}>
  welcome#1 to my#2 home#3 = 欢迎#1 来 我#2 家#3
  be careful#1 = 小心#1
  hurry#1 up#1 = 快点#1
  help#1 = 救命#1
  good#1 luck#2 = 祝 你 好运#1#2
  have#3 a good#2 time#3 = 祝 你 玩#3 得 开心#2
  how#1 beautiful#2 = 多#1 漂亮#2 啊
  let us#1 go#2 = 我们#1 走#2 吧#1
  go#1 away#1 = 走开#1
  stop#1 = 停#1
  be quiet#1 = 安静#1
  cheers#1 = 干杯#1
  congratulations#1 = 恭喜#1

enquiry
  how#1 are you#2 = 你#2 好#1 吗#1
  and what about#1 you#2 = 你#2 呢#1
  do you#1 understand#2 = 你#1 懂#2 吗
  what#1 happened#2 = 发生#2 了#2 什么#1
  what#1 is wrong#3 = 怎么#1 了#3
  really#1 = 真的#1 吗
  can#1 you#2 help#3 me#4 = 你#2 能#1 帮助#3 我#4 吗
  do you#1 speak#2 <language> = 你#1 会 说#2 <language> 吗
  who#1 is#2 it = 是#2 谁#1

anyone
  [ 3] everyone#1 = 每#1 个#1 人#1 都#1
  [ 1] everybody#1 = 每#1 个#1 人#1 都#1
  [ 2] nobody#1 = 没#1 有#1 人#1
  [ 2] someone#1 = 有#1 人#1

whole
  everyone#1 = 每#1 个#1 人#1
  everybody#1 = 每#1 个#1 人#1

seenat
  near#1 my#2 home#3 = 我#2 家#3 附近#1
  near#1 <sole build> = <sole build> 附近#1
  in#1 front#1 of#1 <sole build> = <sole build> 前面#1
  behind#1 <sole build> = <sole build> 后面#1
  next#1 to#1 <sole build> = <sole build> 旁边#1

hobby
  <bare sound> = <bare sound>
  <subjectmatter> = <subjectmatter>
  <language> = <language>
  movies#1 = 电影#1
  basketball = 篮球
  soccer = 足球

good
  <subjectmatter> = <subjectmatter>
  <language> = <language>
  <vp:k.ing> = <vp:k>

notmineclose
  [ 3] your = 你
  his = 他
  her = 她

topic
  fruit = 水果
  animal = 动物
  color = 颜色
  season = 季节
  food = 食物
  drink = 饮料
  subject = 科目
  book = 书
  movie = 电影
  song = 歌

moonlike
  beautiful = 漂亮
  big = 大
  bright = 亮

skycolor
  blue = 蓝色
  gray = 灰色
  red = 红色
  black = 黑色

helped
  you = 你
  him = 他
  her = 她
  them = 他们
  <name> = <name>

babble
  sleep = 睡觉
  cry = 哭
  laugh = 笑
  smile = 笑
  drink milk#1 = 喝 牛奶#1
  drink water#1 = 喝 水#1

heard
  sing = 唱歌
  cry = 哭
  laugh = 笑
  play the piano#1 = 弹 钢琴#1
  speak <language> = 说 <language>

chore
  cook <bare meal> = 做 <bare meal>
  wash the dishes#1 = 洗 碗#1
  clean the room#1 = 打扫 房间#1
  clean the kitchen#1 = 打扫 厨房#1
  wash clothes#1 = 洗 衣服#1
  buy <plural fruit> = 买 <plural fruit>
  feed <the fed> = 喂 <the fed>
  take#1 photos#1 = 拍照#1
  wash the car#1 = 洗 车#1

topics
  movies#1 = 电影#1
  music = 音乐
  books#1 = 书#1
  food = 食物
  fruit = 水果
  clothes = 衣服
  songs#1 = 歌#1

routine
  go#1 to bed#1 = 睡觉#1
  get#1 up#1 = 起床#1
  go#1 to work#1 = 上班#1
  go#1 to school#1 = 上学#1
  go home#1 = 回 家#1
  eat <bare meal> = 吃 <bare meal>
  leave#1 = 走#1

hers
  yours#1 = 你#1 的#1
  his#1 = 他#1 的#1
  hers#1 = 她#1 的#1
  theirs#1 = 他们#1 的#1

consume
  eat = 吃 ~
  drink = 喝 ~
  buy = 买 ~

joint
  [ 6] <shared> = <shared>
  eat <obj food> = 吃 <obj food>
  drink <obj drink> = 喝 <obj drink>
  drink <bare hotdrink> = 喝 <bare hotdrink>
  buy <obj {buy|device|vehicle}> = 买 <obj {}>
  wait for <whom> = 等 <whom>
  help <whom> = 帮助 <whom>
  call#1 <whom> = 给#1 <whom> 打#1 电话#1
  go home#1 = 回 家#1
  learn <language> = 学 <language>
  watch <obj film> = 看 <obj film>
  read <obj print> = 看 <obj print>
  ask <whom> = 问 <whom>
  take#1 a taxi#2 = 坐#1 出租车#2
  make <a baked> = 做 <a baked>
  rest = 休息
  clean the room#1 = 打扫 房间#1

aged
  [@my] I = 我
  [@your] you = 你
  [@his] he = 他
  [@her] she = 她
  <name> = <name>
  <my sibling> = <my sibling>

climate
  warm#1 in spring#2 = 春天#2 很 暖和#1
  hot#1 in summer#2 = 夏天#2 很 热#1
  cool#1 in autumn#2 = 秋天#2 很 凉快#1
  cold#1 in winter#2 = 冬天#2 很 冷#1
"""

SENTENCES = """
adjective 5
  <s> be.s#1 <adj {feel|trait}> . = <s> 很#1 <adj {}> 。
  [ .3] she#2 is#1 <adj female> . = 她#2 很#1 <adj female> 。
  [ .2] he#2 is#1 <adj male> . = 他#2 很#1 <adj male> 。
  [ .3] <s> be.s sick#1 . = <s> 病#1 了#1 。

very 2
  <s> be.s very#1 <adj {feel|trait}> . = <s> 非常#1 <adj {}> 。

thing-adjective 5
  <x=def {food|drink|fruit|wear|device|vehicle|home|room|film|song|read|furniture|box|puton|animal}> be.x#1 <adj {}> . = <x> 很#1 <adj {}> 。
  <x=def {food|drink|wear|device|vehicle|home|room|film|song|read|place|asked}> be.x very#1 <adj {}> . = <x> 非常#1 <adj {}> 。
  <x=country> is#1 big#2 . = <x> 很#1 大#2 。
  <town> is#1 <adj city> . = <town> 很#1 <adj city> 。
  <language> is#1 <adj skill> . = <language> 很#1 <adj skill> 。
  <subjectmatter> is#1 <adj skill> . = <subjectmatter> 很#1 <adj skill> 。
  <whose> job#2 is#1 <adj work> . = <whose> 工作#2 很#1 <adj work> 。
  <whose> homework#2 is#1 <adj work> . = <whose> 作业#2 很#1 <adj work> 。

too-much 2
  <s> be.s too#1 <adj bad> . = <s> 太#1 <adj bad> 了#1 。
  <x=def wear> be.x too#1 <adj wearsize> . = <x> 太#1 <adj wearsize> 了#1 。
  <x=def {wear|device|vehicle|home|food}> be.x too#1 expensive#2 . = <x> 太#1 贵#2 了#1 。
  <x=def {wear|device|vehicle}> be.x too#1 old#2 . = <x> 太#1 旧#2 了#1 。

adjective-question 3
  be.q <q> <adj {feel|trait}> ? = <q> <adj {}> 吗 ？
  be.x <x=this {food|drink|wear|device|vehicle|film|read|song}> <adj {}> ? = <x> <adj {}> 吗 ？
  be.x <x=your {device|vehicle|home|room}> <adj {}> ? = <x> <adj {}> 吗 ？

adjective-negative 3
  <s> be.s not#1 <adj {feel|trait}> . = <s> 不#1 <adj {}> 。
  <x=def {food|drink|wear|device|vehicle|home|film|song|read}> be.x not#1 <adj {}> . = <x> 不#1 <adj {}> 。

adjective-past 2
  <s> was.s#1 <adj feel> yesterday#2 . = <s> 昨天#2 很#1 <adj feel> 。
  <s> was.s#1 <adj feel> last#2 night#2 . = <s> 昨晚#2 很#1 <adj feel> 。

color 2
  <x=def {wear|vehicle|bike|bag}> be.x#1 <color> . = <x> 是#1 <color> 的 。
  what#1 color#2 be.x#3 <x=your {wear|vehicle|bike|bag}> ? = <x> 是#3 什么#1 颜色#2 的 ？

profession 3
  <one> be.one#1 <role job> . = <one> 是#1 <role job> 。
  [ .6] <one> be.one#9 not#1 <role job> . = <one> 不#1 是#9 <role job> 。
  [ .6] be.askedone#1 <askedone> <role job> ? = <askedone> 是#1 <role job> 吗 ？
  [ .5] <one> want.one#1 to be#2 <role job> . = <one> 想#1 当#2 <role job> 。
  [ .4] what#1 do.askedone <askedone> do#2 ? = <askedone> 做#2 什么#1 工作#2 ？

nationality 2
  <one> be.one#1 <nationality> . = <one> 是#1 <nationality> 。
  [ .6] be.askedone#1 <askedone> <nationality> ? = <askedone> 是#1 <nationality> 吗 ？
  [ .6] <one> be.one#9 not#1 <nationality> . = <one> 不#1 是#9 <nationality> 。
  <one> be.one from#1 <country> . = <one> 来自#1 <country> 。
  where#1 be.askedone <askedone> from#2 ? = <askedone> 是 哪里#1 人#2 ？

identity 3
  this#1 is#2 <a {fruit|thing|device|animal|wear|vehicle}> . = 这#1 是#2 <a {}> 。
  that#1 is#2 <a {build|thing|device|animal|vehicle}> . = 那#1 是#2 <a {}> 。
  this#1 is#2 <my {thing|device|vehicle|home|room|kin|mate|boss}> . = 这#1 是#2 <my {}> 。
  that#1 is#2 <my {thing|device|vehicle|home|kin}> . = 那#1 是#2 <my {}> 。
  [ .5] these#1 are#2 <plural {fruit|thing|animal}> . = 这些#1 是#2 <plural {}> 。
  [ .5] those#1 are#2 <plural {fruit|thing|animal}> . = 那些#1 是#2 <plural {}> 。
  is#2 this#1 <your {thing|device|vehicle|found}> ? = 这#1 是#2 <your {}> 吗 ？
  is#2 that#1 <your {kin|mate|boss|home}> ? = 那#1 是#2 <your {}> 吗 ？
  this#1 is#9 not#2 <my {thing|device|vehicle|found}> . = 这#1 不#2 是#9 <my {}> 。
  <third> be.third#1 my#2 <bare {mate|boss}> . = <third> 是#1 我#2 的#2 <bare {}> 。
  [ .5] <name> be.name#1 <notmine> <bare {mate|boss}> . = <name> 是#1 <notmine> <bare {}> 。
  [ .5] what#1 is#2 this#3 ? = 这#3 是#2 什么#1 ？
  [ .5] what#1 is#2 that#3 ? = 那#3 是#2 什么#1 ？

belonging 2
  whose#1 <lone {thing|device|vehicle|found}> is#2 this#3 ? = 这#3 是#2 谁#1 的#1 <lone {}> ？
  <x=this {thing|device|vehicle|found|wear}> be.x#1 <mine> . = <x> 是#1 <mine> 。
  be.x#1 <x=this {thing|device|vehicle|found}> yours#2 ? = <x> 是#1 你#2 的#2 吗 ？

like 6
  <s> like.s#1 <fond> . = <s> 喜欢#1 <fond> 。
  [ 1.5] <s> love.s#1 <whom> . = <s> 爱#1 <whom> 。
  do.q <q> like#1 <fond> ? = <q> 喜欢#1 <fond> 吗 ？
  <s> do.s not#1 like#2 <fond> . = <s> 不#1 喜欢#2 <fond> 。
  <s> like.s#1 to <vp:d> . = <s> 喜欢#1 <vp:d> 。
  <s> like.s#1 <vp:d.ing> . = <s> 喜欢#1 <vp:d> 。
  [ .5] <s> like.s#1 <fond> very#2 much#2 . = <s> 很#2 喜欢#1 <fond> 。
  [ .5] what#1 do.q <q> like#2 ? = <q> 喜欢#2 什么#1 ？
  [ .7] what#1 do.q <q> like#2 to eat#3 ? = <q> 喜欢#2 吃#3 什么#1 ？

habit 4
  <s> <vp:d.s> <daily> . = <s> <daily> <vp:d> 。
  <s> do.s not#1 <vp:d> . = <s> 不#1 <vp:d> 。
  do.q <q> <vp:d> <daily> ? = <q> <daily> <vp:d> 吗 ？
  <s> <howoften> <vp:d.s> . = <s> <howoften> <vp:d> 。
  [ .5] how#1 often#1 do.q <q> <vp:d> ? = <q> 多久#1 <vp:d> 一 次 ？

routine-clock 3
  <s> <earlyvp.s> at <earlyhour> in the morning#1 . = <s> 早上#1 <earlyhour> <earlyvp> 。
  <s> <latevp.s> at <latehour> in the evening#1 . = <s> 晚上#1 <latehour> <latevp> 。
  <s> <earlyvp.s> at <earlyhour> every#1 day#2 . = <s> 每#1 天#2 <earlyhour> <earlyvp> 。
  what#1 time#1 do.q <q> <{earlyvp|latevp}> ? = <q> 几#1 点#1 <{}> ？
  when#1 do.q <q> <{earlyvp|latevp}> ? = <q> 什么#1 时候#1 <{}> ？

progressive 6
  <s> be.s#1 <vp:n.ing> . = <s> 在#1 <vp:n> 。
  [ .4] <s> be.s#1 <vp:n.ing> now#2 . = <s> 现在#2 在#1 <vp:n> 。
  [ .5] be.q#1 <q> <vp:n.ing> ? = <q> 在#1 <vp:n> 吗 ？
  [ .5] <s> be.s not#1 <vp:n.ing> . = <s> 没#1 在 <vp:n> 。
  [ .4] what#1 be.q#2 <q> doing#3 ? = <q> 在#2 做#3 什么#1 ？
  [ .4] what#1 be.q#2 <q> <seek.ing> ? = <q> 在#2 <seek> 什么#1 ？
  [ .3] who#1 be.q#2 <q> waiting#3 for ? = <q> 在#2 等#3 谁#1 ？
  [ .3] where#1 be.q#3 <q> going#2 ? = <q> 要#3 去#2 哪儿#1 ？
  [ .3] why#1 be.q#2 <q> <vp:n.ing> ? = <q> 为什么#1 在#2 <vp:n> ？
  [ .3] the baby#2 is#1 <babble.ing> . = 宝宝#2 在#1 <babble> 。
  [ .1] is#1 the baby#2 <babble.ing> ? = 宝宝#2 在#1 <babble> 吗 ？

wearing 2
  <single> be.single wearing#1 <{a|this} worn> . = <single> 穿#1 着#1 <{} worn> 。
  <single> be.single wearing#1 <{a|this} puton> . = <single> 戴#1 着#1 <{} puton> 。

past 8
  <s> <vp:p.past> . = <s> <vp:p+了> 。
  <s> <vp:p.past> <pasttime> . = <s> <pasttime> <vp:p+了> 。
  <s> <bigvp.past> <bigpast> . = <s> <bigpast> <bigvp+了> 。

past-negative 3
  <s> did not#1 <vp:x> . = <s> 没#1 <vp:x> 。
  <s> did not#1 <vp:x> <pasttime> . = <s> <pasttime> 没#1 <vp:x> 。

past-question 3
  did#1 <q> <vp:x> ? = <q> <vp:x> 了#1 吗 ？
  did#1 <q> <vp:x> <pasttime> ? = <q> <pasttime> <vp:x> 了#1 吗 ？
  [ .4] what#1 did <q> <seek> <pasttime> ? = <q> <pasttime> <seek+了> 什么#1 ？

have 4
  <s> have.s#1 <owned> . = <s> 有#1 <owned> 。
  <s> do.s not#1 have#2 <bareowned> . = <s> 没#1 有#2 <bareowned> 。
  do.q <q> have#1 <bareowned> ? = <q> 有#1 <bareowned> 吗 ？
  [ .2] <s> have.s no#1 money#2 . = <s> 没#1 有 钱#2 。
  [ .2] <s> have.s no#1 time#2 . = <s> 没#1 有 时间#2 。

body 2
  <single> have.single#1 long#2 hair#3 . = <single> 的#1 头发#3 很 长#2 。
  <single> have.single#1 <adj look> <plural look> . = <single> 的#1 <plural look> 很 <adj look> 。
  <whose> <plural look> are#1 <adj look> . = <whose> <plural look> 很#1 <adj look> 。
  <whose> <bare face> is#1 <adj look> . = <whose> <bare face> 很#1 <adj look> 。
  <whose> <bare ache> hurts#1 . = <whose> <bare ache> 疼#1 。

there-is 4
  there#1 is#1 <a {thing|read|device|pet|fruit|puton}> <spot> . = <spot> 有#1 <a {}> 。
  there#1 are#1 <num {thing|read|fruit|fragile}> <spot> . = <spot> 有#1 <num {}> 。
  is#1 there#1 <role build> near#2 here#3 ? = 这儿#3 附近#2 有#1 <role build> 吗 ？
  there#1 is#1 no#2 <bare drink> in#3 the fridge#4 . = 冰箱#4 里#3 没#2 有#1 <bare drink> 。
  there#1 are#1 <num {person|furniture}> in#2 <sole hall> . = <sole hall> 里#2 有#1 <num {}> 。

location 4
  <x=sole {found|print|pet|thing|fruit}> be.x#1 <spot> . = <x> 在#1 <spot> 。
  <s> be.s <whereabouts> . = <s> <whereabouts> 。
  where#1 be.x#2 <x=the {build|wc}> ? = <x> 在#2 哪儿#1 ？
  where#1 be.x#2 <x=my {found|device|read|kin|thing}> ? = <x> 在#2 哪儿#1 ？
  where#1 be.q#2 <q> ? = <q> 在#2 哪儿#1 ？
  be.q <q> <whereabouts> ? = <q> <whereabouts> 吗 ？
  [ .7] <s> was.s <whereabouts> <pasttime> . = <s> <pasttime> <whereabouts> 。

live 2
  <s> live.s#1 in#2 <{town|country}> . = <s> 住#1 在#2 <{}> 。
  where#1 do.q <q> live#2 ? = <q> 住#2 在#2 哪儿#1 ？
  do.q <q> live#1 in#2 <{town|country}> ? = <q> 住#1 在#2 <{}> 吗 ？
  <s> used#1 to#1 live#2 in#3 <{town|country}> . = <s> 以前#1 住#2 在#3 <{}> 。

place-action 4
  <s> <placed:d.s> <daily> . = <s> <daily> <placed:d> 。
  <s> be.s#1 <placed:n.ing> . = <s> 正#1 <placed:n> 。
  <s> want.s#1 to <placed:w> . = <s> 想#1 <placed:w> 。
  where#1 do.q <q> <working> ? = <q> 在#1 哪儿#1 <working> ？

will 5
  <s> will#1 <vp:w> <future> . = <s> <future> 会#1 <vp:w> 。
  <s> will#9 not#1 <vp:x> <future> . = <s> <future> 不#1 会#9 <vp:x> 。
  will#1 <q> <vp:x> <future> ? = <q> <future> 会#1 <vp:x> 吗 ？
  <s> will#1 <vp:b> <bigfuture> . = <s> <bigfuture> 会#1 <vp:b> 。

going-to 4
  <s> be.s going#1 to#1 <vp:w> <future> . = <s> <future> 要#1 <vp:w> 。
  <s> be.s going#1 to#1 <vp:b> <bigfuture> . = <s> <bigfuture> 要#1 <vp:b> 。
  what#1 be.q <q> going#2 to#2 do#3 <future> ? = <q> <future> 要#2 做#3 什么#1 ？

want 5
  <s> want.s#1 to <vp:w> . = <s> 想#1 <vp:w> 。
  [ .6] <s> would#1 like#1 to <vp:w> . = <s> 想#1 <vp:w> 。
  <s> do.s not#1 want#2 to <vp:x> . = <s> 不#1 想#2 <vp:x> 。
  do.q <q> want#1 to <vp:x> ? = <q> 想#1 <vp:x> 吗 ？
  what#1 do.q <q> want#2 to <seek> ? = <q> 想#2 <seek> 什么#1 ？
  <s> want.s#1 <wanted> . = <s> 想要#1 <wanted> 。
  <s> want.s#1 <whom> to <vp:w> . = <s> 想#1 让#1 <whom> <vp:w> 。

need 2
  <s> need.s#1 <wanted> . = <s> 需要#1 <wanted> 。
  <s> need.s#1 to <vp:w> . = <s> 需要#1 <vp:w> 。
  <s> do.s not#1 need#2 to <vp:x> . = <s> 不#1 用#2 <vp:x> 。
  [ .7] do.q <q> need#1 <wanted> ? = <q> 需要#1 <wanted> 吗 ？

skill 3
  <s> can#1 <vp:k> . = <s> 会#1 <vp:k> 。
  can#1 <q> <vp:k> ? = <q> 会#1 <vp:k> 吗 ？
  <s> can#9 not#1 <vp:k> . = <s> 不#1 会#9 <vp:k> 。

permission 3
  [@my 1] may#1 I#2 <permitted> ? = 我#2 可以#1 <permitted> 吗 ？
  [@my 1] can#1 I#2 <permitted> ? = 我#2 可以#1 <permitted> 吗 ？
  you#1 can#2 <permitted> . = 你#1 可以#2 <permitted> 。
  you#1 can#9 not#2 <forbidden> here#3 . = 你#1 不#2 能#9 在#3 这儿#3 <forbidden> 。

ability 2
  <s> can#9 not#1 <vp:x> <future> . = <s> <future> 不#1 能#9 <vp:x> 。
  can#1 you#2 <favor> ? = 你#2 能#1 <favor> 吗 ？
  could#1 you#2 <favor> ? = 你#2 能#1 <favor> 吗 ？

must 3
  <s> must#1 <vp:w> . = <s> 必须#1 <vp:w> 。
  <s> have.s#1 to#1 <vp:w> <future> . = <s> <future> 必须#1 <vp:w> 。

should 3
  <s> should#1 <vp:w> . = <s> 应该#1 <vp:w> 。
  <s> should#9 not#1 <vp:x> . = <s> 不#1 应该#9 <vp:x> 。
  what#1 should#2 I#3 do#4 ? = 我#3 应该#2 做#4 什么#1 ？

may-be 1
  <s> might#1 <vp:w> <future> . = <s> <future> 可能#1 会 <vp:w> 。
  maybe#1 <third> will#2 <vp:w> <future> . = <third> <future> 可能#1 会#2 <vp:w> 。

experience 4
  <s> have.s#1 been#2 to <{country|town}> . = <s> 去#2 过#1 <{}> 。
  have.q#1 <q> ever#1 been#2 to <{country|town}> ? = <q> 去#2 过#1 <{}> 吗 ？
  <s> have.s#3 never#1 been#2 to <{country|town}> . = <s> 没#1 去#2 过#3 <{}> 。
  have.q <q> ever <vp:e.done> ? = <q> <vp:e+过> 吗 ？
  <s> have.s never#1 <vp:e.done> . = <s> 没#1 <vp:e+过> 。
  <s> have.s <vp:e.done> before#1 . = <s> 以前#1 <vp:e+过> 。

already 2
  <s> have.s already#1 <vp:p.done> . = <s> 已经#1 <vp:p+了> 。
  <s> have.s not#1 <vp:x.done> yet#2 . = <s> 还#2 没#1 <vp:x> 。
  have.q#1 <q> <vp:x.done> yet ? = <q> <vp:x> 了#1 吗 ？
  <s> have.s just#1 <vp:p.done> . = <s> 刚#1 <vp:p+了> 。

imperative 4
  please <favor> . = 请 <favor> 。
  <favor> . = <favor> 。
  [ .6] please <favor> , <name> . = <name> ， 请 <favor> 。
  do not#1 <vp:x> . = 别#1 <vp:x> 。
  please#1 do not#2 <forbidden> here#3 . = 请#1 别#2 在#3 这儿#3 <forbidden> 。
  do not#1 be <adj scare> . = 别#1 <adj scare> 。

lets 3
  [@our 1] let us#1 <joint> . = 我们#1 <joint> 吧#1 。
  [@our 1] let us#1 <joint> <future> . = 我们#1 <future> <joint> 吧#1 。
  [@our 1] let us#1 <joint> together#2 . = 我们#1 一起#2 <joint> 吧#1 。
  [@our 1] let us not#2 <joint> . = 我们 别#2 <joint> 吧 。
  [@our 1] shall#1 we#2 <joint> ? = 我们#2 <joint> 好#1 吗 ？

compare 5
  <s> be.s <adj measure.er> than#1 <whom> . = <s> 比#1 <whom> <adj measure> 。
  <single> be.single older#1 than#2 <whom> . = <single> 比#2 <whom> 大#1 。
  [ .7] <single> be.single <count> years#1 older#2 than#3 <whom> . = <single> 比#3 <whom> 大#2 <count> 岁#1 。
  [ .7] <single> be.single a#1 little#1 <adj measure.er> than#2 <whom> . = <single> 比#2 <whom> <adj measure> 一点#1 。
  [ .7] <single> be.single much#1 <adj measure.er> than#2 <whom> . = <single> 比#2 <whom> <adj measure> 得#1 多#1 。
  my#1 <bare {device|vehicle|home|room|bike}> is <adj {}.er> than#2 <hers> . = 我#1 的#1 <bare {}> 比#2 <hers> <adj {}> 。
  your#1 <bare {device|vehicle|home|room|bike}> is <adj {}.er> than#2 mine#3 . = 你#1 的#1 <bare {}> 比#2 我#3 的#3 <adj {}> 。
  be.q <q> <adj measure.er> than#1 <whom> ? = <q> 比#1 <whom> <adj measure> 吗 ？
  <town> is <adj city.er> than#1 <town2> . = <town> 比#1 <town2> <adj city> 。

equal 2
  <single> be.single as#1 <adj measure> as#2 <whom> . = <single> 和#2 <whom> 一样#1 <adj measure> 。
  <single> be.single not#1 as <adj measure> as <whom> . = <single> 没有#1 <whom> <adj measure> 。
  my#3 <bare {device|vehicle|home}> is as#1 <adj {}> as#2 <hers> . = 我#3 的#3 <bare {}> 和#2 <hers> 一样#1 <adj {}> 。
  his#3 <bare {device|vehicle|home}> is as#1 <adj {}> as#2 mine#4 . = 他#3 的#3 <bare {}> 和#2 我#4 的#4 一样#1 <adj {}> 。

superlative 4
  <one> be.one#2 the <adj trait.est>#1 student#4 in our#5 class#3 . = <one> 是#2 我们#5 班#3 最#1 <adj trait> 的#1 学生#4 。
  <familyone> be.familyone#2 the <adj grown.est>#1 person#4 in my#5 family#3 . = <familyone> 是#2 我#5 家#3 最#1 <adj grown> 的#1 人#4 。
  <x=this {wear|device|vehicle|home}> be.x the <adj {}.est>#1 . = <x> 最#1 <adj {}> 。
  this#1 is#2 <close> <adj {wear|device|print}.est>#3 <lone {}> . = 这#1 是#2 <close> 最#3 <adj {}> 的#3 <lone {}> 。

dispose 3
  please#1 close#2 <sole door> . = 请#1 把 <sole door> 关上#2 。
  please#1 open#2 <sole {door|box}> . = 请#1 把 <sole {}> 打开#2 。
  please#1 turn#2 on#2 <sole switch> . = 请#1 把 <sole switch> 打开#2 。
  please#1 turn#2 off#2 <sole switch> . = 请#1 把 <sole switch> 关掉#2 。
  <s> put#1 <sole {found|read|fruit|thing}> <onto> . = <s> 把 <sole {}> 放#1 在 <onto> 了#1 。
  please#1 put#2 <sole {found|read|fruit|thing}> <onto> . = 请#1 把 <sole {}> 放#2 在 <onto> 。
  <s> lost#1 <own {found|stolen}> . = <s> 把 <own {}> 弄丢#1 了#1 。
  <s> broke#1 <sole {fragile|device}> . = <s> 把 <sole {}> 弄坏#1 了#1 。
  <s> sold#1 <own {vehicle|home|device}> . = <s> 把 <own {}> 卖#1 了#1 。
  <s> gave#1 <sole {read|found|given}> to <whom> . = <s> 把 <sole {}> 给#1 了#1 <whom> 。
  <s> have.s finished#1 <ones> homework#2 . = <s> 把 <ones> 作业#2 做完#1 了#1 。
  please#1 give#2 me#3 <sole {found|read|device}> . = 请#1 把 <sole {}> 给#2 我#3 。

passive 3
  <x=my stolen> was.x#1 stolen#2 . = <x> 被#1 偷#2 了#2 。
  <x=sole fragile> was.x broken#1 by#2 <whom> . = <x> 被#2 <whom> 打破#1 了#1 。
  <x=sole {food|fruit}> was.x eaten#1 by#2 <whom> . = <x> 被#2 <whom> 吃#1 了#1 。
  <x=my {found|stolen}> was.x taken#1 away#1 by#2 <whom> . = <x> 被#2 <whom> 拿走#1 了#1 。
  <x=my {vehicle|home}> was.x#2 sold#1 . = <x> 被#2 卖#1 了#1 。

relative 5
  the <lone {print|wear|device|vehicle}> that#1 <pronoun> bought#2 is#3 <adj {}> . = <pronoun> 买#2 的#1 <lone {}> 很#3 <adj {}> 。
  the <lone read> that#1 <pronoun> be.pronoun#2 reading#3 is#4 <adj read> . = <pronoun> 在#2 看#3 的#1 <lone read> 很#4 <adj read> 。
  the <lone film> that#1 <pronoun> watched#2 yesterday#3 was#4 <adj film> . = <pronoun> 昨天#3 看#2 的#1 <lone film> 很#4 <adj film> 。
  I#1 like#2 the <lone {print|wear|device|vehicle}> that#3 <other> bought#4 . = 我#1 喜欢#2 <other> 买#4 的#3 <lone {}> 。
  this#1 is#2 the <lone {print|wear|device|vehicle}> that#3 <pronoun> bought#4 yesterday#5 . = 这#1 是#2 <pronoun> 昨天#5 买#4 的#3 <lone {}> 。
  the <lone person> who#1 is#2 <vp:n.ing> is#3 <my {mate|boss}> . = 在#2 <vp:n> 的#1 <lone person> 是#3 <my {}> 。
  the <lone person> who#1 is wearing#2 the <lone worn> is#3 <my {mate|boss}> . = 穿#2 着#2 <lone worn> 的#1 <lone person> 是#3 <my {}> 。
  do.q <q> know#1 the <lone person> who#2 is#3 <vp:n.ing> ? = <q> 认识#1 在#3 <vp:n> 的#2 <lone person> 吗 ？
  <s> know.s#1 the <lone person> who#2 lives#3 here#4 . = <s> 认识#1 住#3 在#4 这儿#4 的#2 <lone person> 。

cause 4
  <pronoun> <cause:{t|h|i|b|m|y}> , so#1 <pronoun> <effect:{}> . = <pronoun> <cause:{}> ， 所以#1 <pronoun> <effect:{}> 。
  because#1 <pronoun> <cause:{t|h|i|b|m|y}> , <pronoun> <effect:{}> . = 因为#1 <pronoun> <cause:{}> ， 所以#1 <pronoun> <effect:{}> 。
  <pronoun> <effect:{t|h|i|b|m|y}> because#1 <pronoun> <cause:{}> . = 因为#1 <pronoun@2> <cause:{}> ， 所以#1 <pronoun@1> <effect:{}> 。
  it is#1 raining#2 , so#3 <s> <effect:r> . = 在#1 下雨#2 ， 所以#3 <s> <effect:r> 。
  because#1 it is#2 raining#3 , <s> <effect:r> . = 因为#1 在#2 下雨#3 ， 所以#1 <s> <effect:r> 。

if 3
  if#1 it rains#2 <future> , <s> will#3 <rainplan> . = 如果#1 <future> 下雨#2 ， <s> 就#3 会#3 <rainplan> 。
  if#1 <pronoun> have.pronoun#2 time#3 , <pronoun> will#4 <vp:w> . = 如果#1 <pronoun> 有#2 时间#3 ， <pronoun> 就#4 会#4 <vp:w> 。
  if#1 <pronoun> <cause:{t|h|i|y}> , <pronoun> should#2 <advice:{}> . = 如果#1 <pronoun> <cause:{}> ， <pronoun> 就#1 应该#2 <advice:{}> 。
  [ .6] if#1 <pronoun> have.pronoun#2 money#3 , <pronoun> will#4 <vp:b> . = 如果#1 <pronoun> 有#2 钱#3 ， <pronoun> 就#4 会#4 <vp:b> 。
  [ .6] if#1 the weather#2 is good#4 <future> , let us#5 <outing> . = 如果#1 <future> 天气#2 好#4 ， 我们#5 就#1 <outing> 吧#5 。

when 3
  when#1 <s> came#2 home#3 , <other> was.other#4 <vp:n.ing> . = <s> 回#2 家#3 的#1 时候#1 ， <other> 在#4 <vp:n> 。
  when#1 <pronoun> be.pronoun <adj bad> , <pronoun> <comfort.pronoun> . = <pronoun> <adj bad> 的#1 时候#1 ， <pronoun> <comfort> 。
  when#1 it rains#2 , <s> <rainplan.s> . = 下雨#2 的#1 时候#1 ， <s> <rainplan> 。
  when#1 <pronoun> was.pronoun young#2 , <pronoun> lived#3 in#4 <{town|country}> . = <pronoun> 年轻#2 的#1 时候#1 ， <pronoun> 住#3 在#4 <{}> 。
  [ .3] please#7 call#1 me#2 when#3 you#4 get#5 home#6 . = 你#4 到#5 家#6 的#3 时候#3 ， 请#7 给#1 我#2 打#1 电话#1 。

although 2
  although#1 <pronoun> <even:{a|b|c|d|e}> , <pronoun> <still:{}> . = 虽然#1 <pronoun> <even:{}> ， 但是#1 <pronoun> <still:{}> 。
  <pronoun> <even:{a|b|c|d|e}> , but#1 <pronoun> <still:{}> . = <pronoun> <even:{}> ， 但是#1 <pronoun> <still:{}> 。

but 2
  <pronoun> like.pronoun#1 <many {fruit|animal}> , but#2 <other> like.other#3 <many {}2> . = <pronoun> 喜欢#1 <many {}> ， 但是#2 <other> 喜欢#3 <many {}2> 。
  <pronoun> can#1 <vp:k> , but#2 <pronoun> can#9 not#3 <vp:k2> . = <pronoun> 会#1 <vp:k> ， 但是#2 <pronoun> 不#3 会#9 <vp:k2> 。
  <x=this {device|vehicle|home|wear}> be.x#1 <adj plus> , but#2 it is too#3 expensive#4 . = <x> 很#1 <adj plus> ， 但是#2 太#3 贵#4 了#3 。

also 3
  <s> like.s#1 <fond> too#2 . = <s> 也#2 喜欢#1 <fond> 。
  <s> be.s#1 <adj {feel|trait}> too#2 . = <s> 也#2 很#1 <adj {}> 。
  <one> be.one#1 <role job> too#2 . = <one> 也#2 是#1 <role job> 。
  <s> also#1 <vp:d.s> . = <s> 也#1 <vp:d> 。
  <s> want.s#1 to <vp:w> too#2 . = <s> 也#2 想#1 <vp:w> 。
  <s> can#1 <vp:k> too#2 . = <s> 也#2 会#1 <vp:k> 。

all-both 3
  <several> be.several#1 all#2 <adj {feel|trait}> . = <several> 都#2 很#1 <adj {}> 。
  <several> all#1 like#2 <fond> . = <several> 都#1 喜欢#2 <fond> 。
  we#3 are#1 all#2 <plural job> . = 我们#3 都#2 是#1 <plural job> 。
  [ .5] they#3 are#1 all#2 <plural job> . = 他们#3 都#2 是#1 <plural job> 。
  <name> and#1 <name2> are#2 both#3 <plural job> . = <name> 和#1 <name2> 都#3 是#2 <plural job> 。
  <name> and#1 <name2> both#3 like#2 <fond> . = <name> 和#1 <name2> 都#3 喜欢#2 <fond> 。
  <whose> <plural {thing|wear|read}> are#1 all#2 new#3 . = <whose> <plural {}> 都#2 是#1 新#3 的 。

only-still 2
  <s> only#1 have.s#2 <num {thing|pet|sibling}> . = <s> 只#1 有#2 <num {}> 。
  <s> be.s#1 still#2 <vp:n.ing> . = <s> 还#2 在#1 <vp:n> 。
  <s> only#1 like.s#2 <fond> . = <s> 只#1 喜欢#2 <fond> 。

degree 4
  <s> <manner.s> . = <s> <manner> 。
  do.q <q> <manner> ? = <q> <manner> 吗 ？
  [ .4] <s> slept#1 well#2 last#3 night#3 . = <s> 昨晚#3 睡#1 得#1 很#2 好#2 。
  [ .3] <s> got#1 up#1 early#2 today#3 . = <s> 今天#3 起#1 得#1 很#2 早#2 。
  [ .3] <s> got#1 up#1 late#2 today#3 . = <s> 今天#3 起#1 得#1 很#2 晚#2 。

result 4
  <s> saw#1 <whom> . = <s> 看见#1 <whom> 了#1 。
  <s> saw#1 <whom> at#2 <the place> yesterday#3 . = <s> 昨天#3 在#2 <the place> 看见#1 了#1 <whom> 。
  <s> found#1 <own found> . = <s> 找到#1 了#1 <own found> 。
  <s> can not#1 find#2 <own {found|puton}> . = <s> 找#2 不#1 到#2 <own {}> 。
  <s> finished#1 reading#2 <this read> . = <s> 看#2 完#1 了#1 <this read> 。
  <s> have.s learned#1 to <vp:k> . = <s> 学会#1 了#1 <vp:k> 。
  <s> can not#1 hear#2 <whom> . = <s> 听#2 不#1 见#2 <whom> 说话 。
  <s> can not#1 understand#2 <this read> . = <s> 看#2 不#1 懂#2 <this read> 。
  did#1 <q> see#2 <whom> ? = <q> 看见#2 <whom> 了#1 吗 ？

direction 3
  <s> <motion.past> . = <s> <motion> 了#motion 。
  please#1 <motion> . = 请#1 <motion> 。
  do not#1 <motion> . = 别#1 <motion> 。
  <s> want.s#1 to go#2 back#2 to <{town|country}> . = <s> 想#1 回#2 <{}> 。
  <s> walked#1 into#2 <the inside> . = <s> 走#1 进#2 了#1 <the inside> 。
  when#1 will#2 <q> come#3 back#3 ? = <q> 什么#1 时候#1 会#2 回来#3 ？

errand 4
  <s> want.s#1 to <errand> . = <s> 想#1 <errand> 。
  <s> <errand.past> <pasttime> . = <s> <pasttime> <errand+了> 。
  <s> be.s going#1 to#1 <errand> <future> . = <s> <future> 要#1 <errand> 。
  [@our 1] let us#1 <errand> . = 我们#1 <errand> 吧#1 。

give 4
  <s> gave#1 <whom> <a {given|print|device}> . = <s> 给#1 了#1 <whom> <a {}> 。
  <s> will#1 give#2 <whom> <a {given|print}> . = <s> 会#1 给#2 <whom> <a {}> 。
  <s> bought#1 <whom> <a {given|wear|device}> . = <s> 给 <whom> 买#1 了#1 <a {}> 。
  <s> sent#1 <whom> an email#2 . = <s> 给 <whom> 发#1 了#1 一 封 邮件#2 。
  <s> wrote#1 a#2 letter#3 to#4 <whom> . = <s> 给#4 <whom> 写#1 了#1 一#2 封#2 信#3 。
  <s> told#1 <whom> a#2 story#3 . = <s> 给 <whom> 讲#1 了#1 一#2 个#2 故事#3 。
  <s> lent#1 <whom> <a lent> . = <s> 借#1 给#1 了#1 <whom> <a lent> 。
  <s> made#1 <whom> <a baked> . = <s> 给 <whom> 做#1 了#1 <a baked> 。
  <single> teach.single#1 <whom> <language> . = <single> 教#1 <whom> <language> 。
  please#1 give#2 me#3 <a {fruit|thing|print}> . = 请#1 给#2 我#3 <a {}> 。
  please#1 give#2 me#3 <cup {drink|food}> . = 请#1 给#2 我#3 <cup {}> 。

together 3
  <s> <shared.s> with#1 <whom> <daily> . = <s> <daily> 和#1 <whom> 一起#1 <shared> 。
  <s> want.s#1 to <shared> with#2 <whom> . = <s> 想#1 和#2 <whom> 一起#2 <shared> 。
  <s> <shared.past> with#1 <whom> yesterday#2 . = <s> 昨天#2 和#1 <whom> 一起#1 <shared+了> 。
  do.q <q> want#1 to <shared> with#2 me#3 ? = <q> 想#1 和#2 我#3 一起#2 <shared> 吗 ？
  [ .5] who#1 do.q <q> <shared> with#2 ? = <q> 和#2 谁#1 一起#2 <shared> ？

from-to 2
  <s> work.s#1 from#2 <weekday> to#3 <weekday2> . = <s> 从#2 <weekday> 到#3 <weekday2> 工作#1 。
  <s> work.s#1 from#2 <morninghour> o'clock#4 to#3 <eveninghour> o'clock#5 . = <s> 从#2 <morninghour> 点#4 到#3 <eveninghour> 点#5 工作#1 。
  how#1 far#2 is#3 it from#4 <town> to#5 <town2> ? = 从#4 <town> 到#5 <town2> 有#3 多#1 远#2 ？
  <s> flew#1 from#2 <town> to#3 <town2> . = <s> 从#2 <town> 飞#1 到#3 了#1 <town2> 。

first-then 2
  <s> will#1 <vp:w> first#2 , then#3 <vp:w2> . = <s> 会#1 先#2 <vp:w> ， 再#3 <vp:w2> 。
  [@our 1] let us#1 <outing> first#2 , then#3 <vp:w> . = 我们#1 先#2 <outing> ， 再#3 <vp:w> 吧#1 。

while 2
  <s> <task.s> while#1 <pastime.ing> . = <s> 一边#1 <pastime> 一边#1 <task> 。
  <s> like.s#1 to <task> while#2 <pastime.ing> . = <s> 喜欢#1 一边#2 <pastime> 一边#2 <task> 。

more-and-more 2
  the weather#1 is getting <adj weather.er> and#2 <adj weather.er>#3 . = 天气#1 越来越#2 <adj weather>#3 。
  <single> be.single getting <adj grown.er> and#2 <adj grown.er>#3 . = <single> 越来越#2 <adj grown>#3 。
  <{language|subjectmatter}> is getting more#1 and#1 more#1 <adj moreskill> . = <{}> 越来越#1 <adj moreskill> 。
  <s> like.s#1 <fond> more#2 and#2 more#2 . = <s> 越来越#2 喜欢#1 <fond> 。

both-and 2
  <s> be.s both#1 <virtue> and#2 <virtue2> . = <s> 又#1 <virtue> 又#2 <virtue2> 。
  <x=def {wear|room}> be.x both#1 clean#3 and#2 comfortable#4 . = <x> 又#1 干净#3 又#2 舒服#4 。
  <x=def {food|fruit}> be.x both#1 cheap#3 and#2 delicious#4 . = <x> 又#1 便宜#3 又#2 好吃#4 。
  <x=def {wear|vehicle|furniture}> be.x both#1 cheap#3 and#2 beautiful#4 . = <x> 又#1 便宜#3 又#2 漂亮#4 。
  <s> be.s both#1 hungry#3 and#2 tired#4 . = <s> 又#1 饿#3 又#2 累#4 。

think 4
  <pronoun> think.pronoun#1 <fact> . = <pronoun> 觉得#1 <fact> 。
  [ .5] <pronoun> think.pronoun#1 that <fact> . = <pronoun> 觉得#1 <fact> 。
  <pronoun> know.pronoun#1 <fact> . = <pronoun> 知道#1 <fact> 。
  [ .5] <pronoun> know.pronoun#1 that <fact> . = <pronoun> 知道#1 <fact> 。
  <pronoun> said#1 that <fact> . = <pronoun> 说#1 <fact> 。
  I#1 hope#2 <wish> . = 我#1 希望#2 <wish> 。

wonder 3
  <s> do.s not#1 know#2 <wonder> . = <s> 不#1 知道#2 <wonder> 。
  do.q <q> know#1 <wonder> ? = <q> 知道#1 <wonder> 吗 ？
  <s> know.s#1 <wonder> . = <s> 知道#1 <wonder> 。
  please#1 tell#2 me#3 <wonder> . = 请#1 告诉#2 我#3 <wonder> 。

know 2
  <s> know.s#1 <known> . = <s> 认识#1 <known> 。
  do.q <q> know#1 <known> ? = <q> 认识#1 <known> 吗 ？
  <s> do.s not#1 know#2 <known> . = <s> 不#1 认识#2 <known> 。
  who#1 is#2 <that person> ? = <that person> 是#2 谁#1 ？
  who#1 be.q#2 <q> ? = <q> 是#2 谁#1 ？

who 2
  [@their 1] who#1 wants#2 to <vp:w> ? = 谁#1 想#2 <vp:w> ？
  [@their 1] who#1 is#2 <vp:n.ing> ? = 谁#1 在#2 <vp:n> ？
  who#1 can#2 <vp:k> ? = 谁#1 会#2 <vp:k> ？
  who#1 likes#2 <fond> ? = 谁#1 喜欢#2 <fond> ？

why 2
  why#1 do.q <q> like#2 <fond> ? = <q> 为什么#1 喜欢#2 <fond> ？
  why#1 be.q <q> <adj feel> ? = <q> 为什么#1 <adj feel> ？
  why#1 did <q> not#2 <vp:x> ? = <q> 为什么#1 没#2 <vp:x> ？
  why#1 do.q <q> want#2 to <vp:x> ? = <q> 为什么#1 想#2 <vp:x> ？

weather 4
  it is#1 <adj weather> today#2 . = 今天#2 很#1 <adj weather> 。
  it is#1 <adj weather> in <town> . = <town> 很#1 <adj weather> 。
  it is very#2 <adj weather> here#3 . = 这儿#3 非常#2 <adj weather> 。
  [ .5] it is <climate> . = <climate> 。
  it is <adj weather.er> today#1 than#2 yesterday#3 . = 今天#1 比#2 昨天#3 <adj weather> 。
  is it <adj weather> in <{town|season}> ? = <{}> <adj weather> 吗 ？
  it is#1 <fall.ing> . = 在#1 <fall> 。
  it is#1 <fall.ing> in <town> . = <town> 在#1 <fall> 。
  is#1 it <fall.ing> ? = 在#1 <fall> 吗 ？
  it <fall.past> <pasttime> . = <pasttime> <fall+了> 。
  it will#1 <fall> <future> . = <future> 会#1 <fall> 。
  it is going#1 to#1 <fall> <future> . = <future> 要#1 <fall> 。
  it often#1 rains#2 in <{town|season}> . = <{}> 常常#1 下雨#2 。
  [ .3] it often#1 snows#2 in winter#3 . = 冬天#3 常常#1 下雪#2 。
  [ .5] it often#1 snows#2 in <country> . = <country> 常常#1 下雪#2 。
  will#1 it <fall> <future> ? = <future> 会#1 <fall> 吗 ？
  how#1 is the#2 weather#2 in <town> ? = <town> 的 天气#2 怎么样#1 ？
  the weather#1 is#2 <fineness> today#3 . = 今天#3 天气#1 很#2 <fineness> 。

clock 3
  it#1 is#1 <clock> . = 现在#1 <clock> 。
  [ .3] it is#1 <clock> now#1 . = 现在#1 <clock> 。
  <x=sole transport> leaves#1 at <clock> . = <x> <clock> 出发#1 。
  the class#1 starts#1 at <clock> . = <clock> 上课#1 。
  <the build> opens#1 at <earlyhour> in the morning#2 . = <the build> 早上#2 <earlyhour> 开门#1 。
  <the build> closes#1 at <latehour> in the evening#2 . = <the build> 晚上#2 <latehour> 关门#1 。
  what#1 time#1 does <the build> open#2 ? = <the build> 几#1 点#1 开门#2 ？
  what#1 time#1 does <the build> close#2 ? = <the build> 几#1 点#1 关门#2 ？
  let us#1 meet#2 at <clock> . = 我们#1 <clock> 见面#2 吧#1 。

date 3
  today#1 is#2 <weekday> . = 今天#1 是#2 <weekday> 。
  tomorrow#1 is#2 <weekday> . = 明天#1 是#2 <weekday> 。
  yesterday#1 was#2 <weekday> . = 昨天#1 是#2 <weekday> 。
  today#1 is#2 <month> <dayofmonth> . = 今天#1 是#2 <month> <dayofmonth> 。
  <whose> birthday#1 is#2 <month> <dayofmonth> . = <whose> 生日#1 是#2 <month> <dayofmonth> 。
  <whose> birthday#1 is#2 in#2 <month> . = <whose> 生日#1 在#2 <month> 。
  <s> came#1 here#2 in <month> . = <s> <month> 来#1 了#1 这儿#2 。
  when#1 is#2 <notmine> birthday#3 ? = <notmine> 生日#3 是#2 什么#1 时候#1 ？

age 2
  <aged> be.aged <amount> years#1 old#1 . = <aged> <amount> 岁#1 。
  my#2 <bare elder> is <tens> years#1 old#1 . = 我#2 <bare elder> <tens> 岁#1 。
  how#1 old#2 be.askedone <askedone> ? = <askedone> 多#1 大#2 ？
  <whose> <bare pet> is <count> years#1 old#1 . = <whose> <bare pet> <count> 岁#1 。

price 3
  how#1 much#1 is <this {fruit|wear|device|read|thing|puton|vehicle}> ? = <this {}> 多少#1 钱#1 ？
  how#1 much#1 do.x <x=these {fruit|wear|food}> cost ? = <x> 多少#1 钱#1 ？
  <this {fruit|wear|read|thing|puton}> costs <amount> yuan#1 . = <this {}> <amount> 块#1 钱#1 。
  <this {fruit|wear|read|thing|puton}> costs <amount> dollars#1 . = <this {}> <amount> 美元#1 。
  <s> spent#1 <amount> yuan#2 yesterday#3 . = <s> 昨天#3 花#1 了#1 <amount> 块#2 钱#2 。

how-many 3
  <howmany {read|thing|pet|sibling|device}> do.q <q> have#1 ? = <q> 有#1 <howmany {}> ？
  how#1 many#1 people#2 are#3 there#3 in your#4 family#5 ? = 你#4 家#5 有#3 几#1 口#1 人#2 ？
  <howmany {read|fruit|wear|thing}> did <q> buy#1 ? = <q> 买#1 了#1 <howmany {}> ？
  <howmany {fruit|thing}> are#1 there#1 on#2 <sole top> ? = <sole top> 上#2 有#1 <howmany {}> ？
  there#1 are#1 <amount> students#2 in#3 our#4 class#5 . = 我们#4 班#5 里#3 有#1 <amount> 个 学生#2 。

which 3
  <which {read|film|song|wear|device|vehicle|animal}> do.q <q> like#1 ? = <q> 喜欢#1 <which {}> ？
  <which {read|thing|device|vehicle|wear|found}> is#1 yours#2 ? = <which {}> 是#1 你#2 的#2 ？
  <which {read|wear|device|vehicle}> is <adj {}.er>#8 ? = <which {}> 更#8 <adj {}> ？
  do.q <q> like#1 <many {animal|fruit|drink}> or#2 <many {}2> ? = <q> 喜欢#1 <many {}> 还是#2 <many {}2> ？
  do.q <q> want#1 <many drink> or#2 <many drink2> ? = <q> 想要#1 <many drink> 还是#2 <many drink2> ？
  be.askedone#1 <askedone> <role job> or#2 <role job2> ? = <askedone> 是#1 <role job> 还是#2 <role job2> ？

transport 3
  <s> go.s to work#1 <ridden> . = <s> <ridden> 上班#1 。
  <s> go.s to school#1 <ridden> . = <s> <ridden> 上学#1 。
  <s> go.s#1 to <the place> <ridden> . = <s> <ridden> 去#1 <the place> 。
  <s> went#1 to <town> <far> . = <s> <far> 去#1 了#1 <town> 。
  how#1 do.q <q> go to work#2 ? = <q> 怎么#1 上班#2 ？
  how#1 do I#3 get#4 to <the {build|place}> ? = 我#3 怎么#1 去#4 <the {}> ？
  can#1 <q> go#2 to <the place> <ridden> ? = <q> 能#1 <ridden> 去#2 <the place> 吗 ？

name 1
  my#1 name#2 is#2 <name> . = 我#1 叫#2 <name> 。
  what#1 is#2 <notmineclose> name#3 ? = <notmineclose> 叫#2 什么#1 名字#3 ？
  I#1 am#2 <name> . = 我#1 是#2 <name> 。
  this#1 is#2 <name> . = 这#1 是#2 <name> 。
  is#2 <notmineclose> name#2 <name> ? = <notmineclose> 叫#2 <name> 吗 ？

answer 3
  yes#1 , <s> like.s#2 <fond> . = 是的#1 ， <s> 喜欢#2 <fond> 。
  yes#1 , <one> be.one#2 <role job> . = 是的#1 ， <one> 是#2 <role job> 。
  yes#1 , <s> can#2 <vp:k> . = 是的#1 ， <s> 会#2 <vp:k> 。
  no#1 , <s> do.s not#2 like#3 <fond> . = 不#1 ， <s> 不#2 喜欢#3 <fond> 。
  no#1 , <one> be.one#9 not#2 <role job> . = 不#1 ， <one> 不#2 是#9 <role job> 。
  no#1 , <s> can#9 not#2 <vp:k> . = 不#1 ， <s> 不#2 会#9 <vp:k> 。
  no#1 , <s> did not#2 <vp:x> . = 不#1 ， <s> 没#2 <vp:x> 。

tag 3
  <q> like.q#1 <fond> , right#2 ? = <q> 喜欢#1 <fond> ， 对#2 吗 ？
  <askedone> be.askedone#1 <role job> , right#2 ? = <askedone> 是#1 <role job> ， 对#2 吗 ？
  <q> can#1 <vp:k> , right#2 ? = <q> 会#1 <vp:k> ， 对#2 吗 ？
  <other> be.other#1 <adj {feel|trait}> , be.other not#2 <other> ? = <other> 很#1 <adj {}> ， 对#2 吗 ？
  you#1 are#2 <adj {feel|trait}> , are not#3 you ? = 你#1 很#2 <adj {}> ， 对#3 吗 ？
  you#1 like#2 <fond> , do not#3 you ? = 你#1 喜欢#2 <fond> ， 对#3 吗 ？
  <other> like.other#2 <fond> , do.other not#3 <other> ? = <other> 喜欢#2 <fond> ， 对#3 吗 ？
  <other> will#1 <vp:w> <future> , will not#3 <other> ? = <other> <future> 会#1 <vp:w> ， 对#3 吗 ？
  it is#1 <adj weather> today#2 , is not#3 it ? = 今天#2 很#1 <adj weather> ， 对#3 吗 ？

duration 2
  <s> waited#1 for <span> . = <s> 等#1 了#1 <span> 。
  <s> slept#1 for <count> hours#2 . = <s> 睡#1 了#1 <count> 个#2 小时#2 。
  <s> lived#1 in#2 <town> for <years> . = <s> 在#2 <town> 住#1 了#1 <years> 。
  <s> studied#1 <language> for <years> . = <s> 学#1 了#1 <years> <language> 。
  <s> worked#1 for <count> hours#3 yesterday#2 . = <s> 昨天#2 工作#1 了#1 <count> 个#3 小时#3 。
  how#1 long#1 did <q> wait#2 ? = <q> 等#2 了#2 多久#1 ？

before-after 3
  <s> <prior.s> before#1 <bedtime.ing> . = <s> <bedtime> 以前#1 <prior> 。
  <s> <vp:d.s> after#1 <meals.ing> . = <s> <meals> 以后#1 <vp:d> 。
  after#1 <meals.ing> , <s> <prior.s> . = <meals> 以后#1 ， <s> <prior> 。

exclaim 2
  <x=this {food|drink|wear|vehicle|home|song|animal|film}> be.x so#1 <adj {}> ! = <x> 真#1 <adj {}> ！
  <t=third> be.t so#1 <adj {feel|trait}> ! = <t> 真#1 <adj {}> ！
  it is so#1 <adj weather> today#2 ! = 今天#2 真#1 <adj weather> ！

phrase 8
  [ 2] <remark> . = <remark> 。
  [ 2] <remark> , <name> . = <remark> ， <name> 。
  [ 1] <name> , <remark> . = <name> ， <remark> 。
  [ 1] <call> ! = <call> ！
  [ 2] <call> , <name> ! = <call> ， <name> ！
  [ .7] <enquiry> ? = <enquiry> ？
  [ .7] <enquiry> , <name> ? = <enquiry> ， <name> ？

look-feel 3
  <s> look.s#1 <adj {feel|trait}> . = <s> 看起来#1 很 <adj {}> 。
  <x=this {food|fruit|wear|film|device}> look.x#1 <adj {}> . = <x> 看起来#1 很 <adj {}> 。
  <s> feel.s#1 <adj felt> . = <s> 觉得#1 很 <adj felt> 。
  why#1 do.q <q> look#2 <adj bad> ? = <q> 为什么#1 看起来#2 很 <adj bad> ？

interest 2
  <s> be.s interested#1 in#2 <hobby> . = <s> 对#2 <hobby> 感#1 兴趣#1 。
  be.q <q> interested#1 in#2 <hobby> ? = <q> 对#2 <hobby> 感#1 兴趣#1 吗 ？
  <s> be.s not#3 interested#1 in#2 <hobby> . = <s> 对#2 <hobby> 不#3 感#1 兴趣#1 。
  <s> be.s good#1 at#1 <good> . = <s> 擅长#1 <good> 。

state 3
  <one> be.one married#1 . = <one> 结婚#1 了#1 。
  be.askedone <askedone> married#1 ? = <askedone> 结婚#1 了#1 吗 ？
  <s> be.s ready#1 . = <s> 准备#1 好#1 了#1 。
  be.q <q> ready#1 ? = <q> 准备#1 好#1 了#1 吗 ？
  <s> be.s late#1 . = <s> 迟到#1 了#1 。
  <s> be.s asleep#1 . = <s> 睡着#1 了#1 。
  <s> be.s#1 right#2 . = <s> 是#1 对#2 的#2 。
  <s> be.s#1 wrong#2 . = <s> 是#1 错#2 的#2 。
  <s> be.s afraid#1 of <plural {animal|wild}> . = <s> 怕#1 <plural {}> 。
  be.q <q> afraid#1 of <plural {animal|wild}> ? = <q> 怕#1 <plural {}> 吗 ？

free 2
  be.q#1 <q> free#2 <future> ? = <q> <future> 有#1 空#2 吗 ？
  <s> be.s#1 free#2 <future> . = <s> <future> 有#1 空#2 。
  <s> be.s not#1 free#2 <future> . = <s> <future> 没#1 有 空#2 。

birth 2
  <single> was#3 born#1 in#2 <{town|country}> . = <single> 是#3 在#2 <{}> 出生#1 的#3 。
  <single> was#3 born#1 in <month> . = <single> 是#3 <month> 出生#1 的#3 。
  <single> was#3 born#1 on <month> <dayofmonth> . = <single> 是#3 <month> <dayofmonth> 出生#1 的#3 。
  where#1 was.q#3 <q> born#2 ? = <q> 是#3 在#1 哪儿#1 出生#2 的#3 ？
  when#1 was.q#3 <q> born#2 ? = <q> 是#3 什么#1 时候#1 出生#2 的#3 ？

everyone 3
  <anyone> likes#1 <fond> . = <anyone> 喜欢#1 <fond> 。
  <anyone> knows#1 <wonder> . = <anyone> 知道#1 <wonder> 。
  <anyone> can#1 <vp:k> . = <anyone> 会#1 <vp:k> 。
  someone#1 is#2 <vp:n.ing> . = 有#1 人#1 在#2 <vp:n> 。
  <whole>#3 is#1 <adj feel> . = <whole> 都#3 很#1 <adj feel> 。
  does <whole>#3 like#1 <fond> ? = <whole> 都#3 喜欢#1 <fond> 吗 ？

something 3
  <s> want.s#1 to <consume> something#2 . = <s> 想#1 <consume> 东西#2 。
  <s> do.s not#1 want#2 to <seek> anything#3 . = <s> 什么#3 都#3 不#1 想#2 <seek> 。
  <s> did not#1 <seek> anything#2 . = <s> 什么#2 都#2 没#1 <seek> 。
  do.q <q> want#1 to <consume> something#2 ? = <q> 想#1 <consume> 东西#2 吗 ？
  <s> <seek.past> nothing#1 <pasttime> . = <s> <pasttime> 什么#1 都#1 没#1 <seek> 。
  <s> <consume.past> something#1 <pasttime> . = <s> <pasttime> <consume+了> 东西#1 。

favorite 3
  <close> favorite#1 fruit#2 is#3 <plural fruit> . = <close> 最#1 喜欢#1 的#1 水果#2 是#3 <plural fruit> 。
  <close> favorite#1 animal#2 is#3 the <lone animal> . = <close> 最#1 喜欢#1 的#1 动物#2 是#3 <lone animal> 。
  <close> favorite#1 color#2 is#3 <color> . = <close> 最#1 喜欢#1 的#1 颜色#2 是#3 <color> 。
  <close> favorite#1 season#2 is#3 <season> . = <close> 最#1 喜欢#1 的#1 季节#2 是#3 <season> 。
  <close> favorite#1 food#2 is#3 <many food> . = <close> 最#1 喜欢#1 的#1 食物#2 是#3 <many food> 。
  <close> favorite#1 drink#2 is#3 <bare drink> . = <close> 最#1 喜欢#1 的#1 饮料#2 是#3 <bare drink> 。
  <close> favorite#1 subject#2 is#3 <subjectmatter> . = <close> 最#1 喜欢#1 的#1 科目#2 是#3 <subjectmatter> 。
  what#1 is#2 <notmineclose> favorite#3 <topic> ? = <notmineclose> 最#3 喜欢#3 的#3 <topic> 是#2 什么#1 ？

nature 2
  there#1 is#1 <a {nature|build}> <seenat> . = <seenat> 有#1 <a {}> 。
  there#1 are#1 <num nature> <seenat> . = <seenat> 有#1 <num nature> 。
  there#1 are#1 many#2 <plural {nature|common}> here#3 . = 这儿#3 有#1 很多#2 <plural {}> 。
  there#1 are#1 many#2 <plural {nature|common}> in <town> . = <town> 有#1 很多#2 <plural {}> 。
  <x=this nature> be.x#1 <adj nature> . = <x> 很#1 <adj nature> 。
  the moon#1 is#2 <moonlike> tonight#3 . = 今晚#3 月亮#1 很#2 <moonlike> 。
  the sky#1 is#2 <skycolor> . = 天空#1 是#2 <skycolor> 的 。

between 2
  <x=sole build> be.x#1 between#2 <sole build2> and#3 <sole build3> . = <x> 在#1 <sole build2> 和#3 <sole build3> 中间#2 。
  <x=sole build> be.x#1 next#2 to#2 <sole build2> . = <x> 在#1 <sole build2> 旁边#2 。
  is <sole build> far#2 from#3 here#4 ? = <sole build> 离#3 这儿#4 远#2 吗 ？
  <sole build> is very#2 far#3 from#4 here#5 . = <sole build> 离#4 这儿#5 非常#2 远#3 。
  <sole build> is#1 near#2 my#3 home#4 . = <sole build> 在#1 我#3 家#4 附近#2 。

mind 3
  do.q <q> remember#1 <whom> ? = <q> 记得#1 <whom> 吗 ？
  <s> remember.s#1 <whom> . = <s> 记得#1 <whom> 。
  <s> believe.s#1 <whom> . = <s> 相信#1 <whom> 。
  <s> do.s not#1 believe#2 <whom> . = <s> 不#1 相信#2 <whom> 。
  <s> hate.s#1 <fond> . = <s> 讨厌#1 <fond> 。
  <s> hate.s#1 <vp:d.ing> . = <s> 讨厌#1 <vp:d> 。
  <s> enjoy.s#1 <vp:d.ing> . = <s> 喜欢#1 <vp:d> 。
  <s> forgot#1 to <vp:x> . = <s> 忘#1 了#1 <vp:x> 。
  do not#1 forget#2 to <vp:x> . = 别#1 忘#2 了#2 <vp:x> 。
  <s> miss.s#1 <whom> . = <s> 想#1 <whom> 。

plan 3
  <s> plan.s#1 to <vp:w> <future> . = <s> 打算#1 <future> <vp:w> 。
  <s> plan.s#1 to <vp:b> <bigfuture> . = <s> 打算#1 <bigfuture> <vp:b> 。
  <s> decided#1 to <vp:b> . = <s> 决定#1 <vp:b> 。
  <s> started#1 to <vp:w> . = <s> 开始#1 <vp:w> 了#1 。
  <s> hope.s#1 to <vp:b> <bigfuture> . = <s> 希望#1 <bigfuture> <vp:b> 。
  it started#1 to <fall> . = 开始#1 <fall> 了#1 。

offer 3
  would#1 you#2 like#1 <cup {drink|food}> ? = 你#2 想要#1 <cup {}> 吗 ？
  would#1 you#2 like#1 to <vp:x> ? = 你#2 想#1 <vp:x> 吗 ？
  <s> would#1 like#1 <cup {drink|food}> . = <s> 想要#1 <cup {}> 。
  <s> would#1 like#1 <a {fruit|food}> . = <s> 想要#1 <a {}> 。
  [@our 1] why#1 don't#2 we#3 <vp:x> ? = 我们#3 为什么#1 不#2 <vp:x> ？
  [@our 1] how#1 about#1 <outing.ing> <future> ? = 我们 <future> <outing> 怎么样#1 ？
  here#1 is#2 <your {drink|device|found|print}> . = 这#1 是#2 <your {}> 。

opinion 2
  what#1 do.q <q> think#2 of <this {film|print|song|wear|device|vehicle}> ? = <q> 觉得#2 <this {}> 怎么样#1 ？
  it is#1 <adj ease> to <vp:b> . = <vp:b> 很#1 <adj ease> 。
  it is not#1 <adj ease> to <vp:b> . = <vp:b> 不#1 <adj ease> 。
  it is#1 <adj ease> to learn <language> . = 学 <language> 很#1 <adj ease> 。
  what#1 kind#1 of#1 <topics> do.q <q> like#2 ? = <q> 喜欢#2 什么样#1 的#1 <topics> ？

perceive 2
  <s> saw#1 <whom> <vp:n.ing> . = <s> 看见#1 <whom> 在 <vp:n> 。
  <s> heard#1 <whom> <heard.ing> . = <s> 听见#1 <whom> 在 <heard> 。
  <s> often#1 help.s#2 <whom> <chore> . = <s> 常常#1 帮#2 <whom> <chore> 。
  <s> asked#1 <whom> to <chore> . = <s> 让#1 <whom> <chore> 。
  [@my 1] let#1 me#2 help#3 <helped> . = 让#1 我#2 帮#3 <helped> 吧 。

past-progressive 2
  <s> was.s#1 <vp:n.ing> at <latehour> last#2 night#2 . = <s> 昨晚#2 <latehour> 在#1 <vp:n> 。
  <s> was.s#1 <vp:n.ing> yesterday#2 morning#3 . = <s> 昨天#2 上午#3 在#1 <vp:n> 。
  what#1 was.q#2 <q> doing#3 at <latehour> last#4 night#4 ? = <q> 昨晚#4 <latehour> 在#2 做#3 什么#1 ？

either 2
  <s> do.s not#1 like#2 <fond> either#3 . = <s> 也#3 不#1 喜欢#2 <fond> 。
  <s> can#9 not#1 <vp:k> either#2 . = <s> 也#2 不#1 会#9 <vp:k> 。
  <s> be.s not#1 <adj {feel|trait}> either#2 . = <s> 也#2 不#1 <adj {}> 。
  <s> did not#1 <vp:x> either#2 . = <s> 也#2 没#1 <vp:x> 。

used-to 1
  <s> used#1 to#1 <vp:d> <daily> . = <s> 以前#1 <daily> <vp:d> 。
  <s> used#1 to#1 like#2 <fond> . = <s> 以前#1 喜欢#2 <fond> 。

how-long 2
  how#1 long#1 does it take#2 to get#3 to <the build> ? = 到#3 <the build> 要#2 多久#1 ？
  how#1 long#1 have.q#4 <q> lived#2 in#3 <town> ? = <q> 在#3 <town> 住#2 了#4 多久#1 了 ？
  <s> have.s#5 lived#1 here#2 for <years> . = <s> 在#2 这儿#2 住#1 了#5 <years> 了 。
  <s> have.s#5 learned#1 <language> for <years> . = <s> 学#1 了#5 <years> <language> 了 。

who-taller 1
  who#1 is <adj measure.er>#8 , <name> or#2 <name2> ? = <name> 和#2 <name2> 谁#1 更#8 <adj measure> ？
  which do.q <q> like#2 better#3 , <many {animal|fruit|drink}> or#4 <many {}2> ? = <q> 更#3 喜欢#2 <many {}> 还是#4 <many {}2> ？

must-not 1
  you#1 must#9 not#2 <forbidden> here#3 . = 你#1 不#2 可以#9 在#3 这儿#3 <forbidden> 。
  <s> had better#1 <vp:w> . = <s> 最好#1 <vp:w> 。
  <s> had better#1 not#2 <vp:x> . = <s> 最好#1 不要#2 <vp:x> 。
  [@our 1] it is time#1 to <routine> . = 该#1 <routine> 了#1 。
"""
