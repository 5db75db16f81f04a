"""The words of the small world: nouns with their measure words, adjectives, names, times, and English inflection.

Every table is text, one word a line, so that a linguist can add to it without reading code. Which words may stand
together is said here by *classes*: a noun of class ``food`` is what ``<... food>`` in a template of
`constructions.py` may become, an adjective of class ``food`` is what may be said of it. How phrases are
built out of these words is not here but in `grammar.py`. All of it was written for this project (CC0).
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """One noun: ``plural`` is empty for a mass noun, ``singular`` for a noun with a plural only."""

    singular: str
    plural: str
    chinese: str
    measure: str
    container: str
    unique: bool


class Adjective(NamedTuple):
    """One adjective: ``attributive`` is its Chinese form before a noun, empty where it does not stand there."""

    english: str
    chinese: str
    attributive: str


# english[/plural] chinese measure classes.
#   book            plural by rule      child/children   plural given
#   bread/-         mass noun           -/pants          plural only
#   tea/- 茶 杯:cup  a mass noun measured by a container: "a cup of tea"
#   a final "!"      there is one of it in the situation: "the door" is 门, not 那扇门
NOUNS = """
man/men 男人 个 person
woman/women 女人 个 person
boy 男孩 个 person
girl 女孩 个 person
child/children 孩子 个 person
student 学生 个 person job
teacher 老师 个 person job
doctor 医生 个 person job
nurse 护士 个 person job
driver 司机 个 person job
worker 工人 个 person job
farmer 农民 个 job
policeman/policemen 警察 个 person job
lawyer 律师 个 job
writer 作家 个 job
singer 歌手 个 person job
waiter 服务员 个 person job
manager 经理 个 job
engineer 工程师 个 job
cook 厨师 个 job
friend 朋友 个 mate
classmate 同学 个 mate
neighbor 邻居 个 mate
boss 老板 个 boss
mother 妈妈 - kin elder her
mom 妈妈 - kin elder her
father 爸爸 - kin elder his
dad 爸爸 - kin elder his
brother 哥哥 个 kin his sibling
sister 姐姐 个 kin her sibling
younger_brother 弟弟 个 kin his sibling
younger_sister 妹妹 个 kin her sibling
son 儿子 个 kin his sibling
daughter 女儿 个 kin her sibling
wife/wives 妻子 - kin her
husband 丈夫 - kin his
grandmother 奶奶 - kin elder her
grandfather 爷爷 - kin elder his
uncle 叔叔 个 kin elder his
aunt 阿姨 个 kin elder her
-/parents 父母 - folks

cat 猫 只 animal pet liked fed!
dog 狗 只 animal pet liked fed!
rabbit 兔子 只 animal pet liked fed!
bird 鸟 只 animal liked fed!
fish/fish 鱼 条 animal liked fed!
horse 马 匹 animal liked fed!
cow 牛 头 animal fed!
sheep/sheep 羊 只 animal
pig 猪 头 animal fed!
duck 鸭子 只 animal fed!
chicken 鸡 只 fed!
tiger 老虎 只 animal wild liked
lion 狮子 头 animal wild
panda 熊猫 只 animal wild liked
monkey 猴子 只 animal wild liked
elephant 大象 头 animal wild liked
snake 蛇 条 wild
bear 熊 只 wild animal
mouse/mice 老鼠 只 wild

apple 苹果 个 food fruit buy liked
banana 香蕉 根 food fruit buy liked
orange 橙子 个 food fruit buy liked
pear 梨 个 food fruit buy
peach 桃子 个 food fruit buy liked
egg 鸡蛋 个 food buy
cake 蛋糕 个 food buy baked liked
cookie 饼干 块 food buy baked
hamburger 汉堡 个 food buy liked
sandwich 三明治 个 food buy
pizza 比萨 个 food buy liked
potato/potatoes 土豆 个 food buy
tomato/tomatoes 西红柿 个 food buy
watermelon 西瓜 个 food fruit buy liked
bread/- 面包 片:piece food buy
rice/- 米饭 碗:bowl food
-/noodles 面条 碗:bowl food liked
-/dumplings 饺子 - food liked
meat/- 肉 - food buy
beef/- 牛肉 - food buy
chicken/- 鸡肉 - food
fruit/- 水果 - food buy liked
-/vegetables 蔬菜 - food buy
chocolate/- 巧克力 - food buy liked
candy/- 糖 - food buy
ice_cream/- 冰淇淋 - food buy liked
water/- 水 杯:glass drink
tea/- 茶 杯:cup drink liked hotdrink
coffee/- 咖啡 杯:cup drink liked hotdrink
milk/- 牛奶 杯:glass drink buy
juice/- 果汁 杯:glass drink
beer/- 啤酒 瓶:bottle drink buy
wine/- 葡萄酒 瓶:bottle drink buy
soup/- 汤 碗:bowl drink hotdrink
breakfast/- 早饭 - meal
lunch/- 午饭 - meal
dinner/- 晚饭 - meal

book 书 本 read print buy thing liked lent
magazine 杂志 本 read print buy
newspaper 报纸 份 read print buy thing
novel 小说 本 read print liked
story 故事 个 read write told
dictionary 词典 本 buy thing lent
letter 信 封 read write sent letter
email 邮件 封 read write sent
movie 电影 部 film liked
match 比赛 场 film
song 歌 首 song liked
photo 照片 张 thing lookedat
picture 画 幅 lookedat
shirt 衬衫 件 wear worn buy washed
coat 大衣 件 wear worn buy
sweater 毛衣 件 wear worn buy washed
dress 裙子 条 wear buy washed
-/pants 裤子 条 wear worn buy washed
-/clothes 衣服 - wear buy washed
-/shoes 鞋 双 wear worn buy
hat 帽子 顶 puton buy
-/glasses 眼镜 副 puton
pen 笔 支 buy thing lent
pencil 铅笔 支 buy thing lent
notebook 笔记本 个 buy thing
cup 杯子 个 buy thing fragile
plate 盘子 个 fragile
bottle 瓶子 个 fragile thing
vase 花瓶 个 fragile
bag 包 个 buy thing box found bag
wallet 钱包 个 thing found stolen
key 钥匙 把 thing found
umbrella 雨伞 把 buy thing lent found
knife/knives 刀 把 thing
ticket 票 张 buy found ticket
map 地图 张 buy thing found lookedat
passport 护照 本 found
gift 礼物 件 buy given
flower 花 朵 buy given liked lookedat
toy 玩具 个 buy given
ball 球 个 buy given thing
phone 手机 部 device buy thing found stolen fixed
computer 电脑 台 device buy fixed stolen
camera 相机 台 device buy stolen fixed lent
watch 手表 块 device buy found stolen
table 桌子 张 furniture top
desk 书桌 张 furniture top
chair 椅子 把 furniture seat fixed
bed 床 张 furniture seat
sofa 沙发 张 furniture seat
box/boxes 盒子 个 box thing
car 车 辆 vehicle drive fixed stolen
bike 自行车 辆 vehicle bike buy fixed stolen lent
bus 公交车 辆 transport awaited
train 火车 辆 transport awaited
plane 飞机 架 transport
taxi 出租车 辆 transport
ship 船 艘 transport
house 房子 座 home
apartment 公寓 套 home
room 房间 个 room
door 门 扇 door!
window 窗户 扇 door!
light 灯 盏 switch!
TV 电视 台 switch! device
music/- 音乐 - sound liked
question 问题 个 asked
hand 手 - look ache
face 脸 - face
head 头 - ache
stomach 肚子 - ache
leg 腿 - ache look
foot/feet 脚 - ache
tooth/teeth 牙 - ache
eye 眼睛 - look ache
ear 耳朵 - look
nose 鼻子 - face
mouth 嘴 - face

school 学校 所 place! build! common workplace teachplace
hospital 医院 家 place! build! workplace
park 公园 个 place! build! common
bank 银行 家 place! build! workplace
store 商店 家 place! build! common
supermarket 超市 家 place! build! workplace
library 图书馆 个 place! build!
bookstore 书店 家 place! build! workplace
restaurant 饭馆 家 place! build! common workplace
hotel 酒店 家 place! build! common workplace
station 车站 个 place! build!
train_station 火车站 个 place! build!
airport 机场 个 place! build!
museum 博物馆 个 place! build! common visited!
zoo/zoos 动物园 个 place! build!
cinema 电影院 家 place! build!
post_office 邮局 个 place! build!
cafe 咖啡馆 家 place! build! workplace
market 市场 个 place! build!
office 办公室 个 inside! hall!
university 大学 所 place! build! visited! workplace teachplace
company 公司 家 workplace
factory 工厂 家 workplace visited!
gym 健身房 个 place! build!
kitchen 厨房 个 inside!
bedroom 卧室 个 inside!
classroom 教室 个 inside! hall!
living_room 客厅 个 inside! hall!
garden 花园 个 inside! hall!
bathroom 洗手间 个 inside! wc!
restroom 洗手间 个 wc!
bus_stop 公交车站 个 stop! build!
city 城市 个 city
village 村子 个 city
tree 树 棵 nature
river 河 条 nature
mountain 山 座 nature
lake 湖 个 nature
"""

# english chinese attributive classes.  "-": not before a noun.  "+的": the Chinese word and 的.
ADJECTIVES = """
happy 高兴 - felt feel glad
sad 难过 - felt feel bad scare
tired 累 - felt feel bad
busy 忙 - feel
hungry 饿 - felt feel bad
thirsty 渴 - felt feel bad
angry 生气 - feel bad scare
nervous 紧张 - felt feel bad scare
excited 激动 - feel glad
afraid 害怕 - feel bad scare
bored 无聊 - felt feel bad
sleepy 困 - felt feel bad
worried 担心 - feel bad scare
tall 高 - trait measure grown
short 矮 - trait measure
young 年轻 +的 trait measure person
fat 胖 - trait measure animal grown
thin 瘦 - trait measure grown
strong 强壮 - trait measure grown
beautiful 漂亮 +的 nature wear city home place room lookedat female plus
pretty 漂亮 +的 female
handsome 帅 - male
smart 聪明 +的 trait measure person animal matured
clever 聪明 +的 trait measure
kind 善良 +的 person trait
friendly 友好 +的 person trait
polite 有礼貌 +的 person trait
lazy 懒 - trait measure
famous 出名 +的 nature trait measure job place city matured
rich 有钱 +的 trait measure matured
poor 穷 - trait measure
healthy 健康 - trait
quiet 安静 - trait place room
brave 勇敢 +的 person trait measure
honest 诚实 +的 person trait
popular 受欢迎 - trait film song
good 好 好 read print film song device mate job plus
new 新 新 bike print wear device vehicle home furniture puton mate film
old 旧 旧 wear device vehicle furniture puton home
big 大 大 nature animal room city home furniture place wearsize fruit box look
small 小 小 nature animal room city home furniture wearsize box place look
long 长 - film
expensive 贵 - bike wear device vehicle home furniture puton food fruit drink
cheap 便宜 +的 wear device vehicle home furniture puton food fruit
clean 干净 +的 wear vehicle room place furniture
dirty 脏 - wear vehicle room furniture
comfortable 舒服 +的 wear furniture vehicle room
heavy 重 - device box furniture
useful 有用 +的 device read print skill
interesting 有意思 +的 ease read print film skill work moreskill
boring 无聊 +的 read print film work moreskill
difficult 难 - ease read print skill work asked moreskill
easy 容易 - ease skill work asked
simple 简单 +的 asked
important 重要 +的 ease work asked skill moreskill
strange 奇怪 +的 asked
delicious 好吃 +的 food fruit
delicious 好喝 +的 drink
sweet 甜 - fruit
fresh 新鲜 +的 fruit food
cute 可爱 +的 animal pet
fast 快 - vehicle
slow 慢 - vehicle
safe 安全 - place city
noisy 吵 - place room
hot 热 - weather
cold 冷 - weather
warm 暖和 - weather
cool 凉快 - weather
"""

# Colours: predicate 红色的, attributive 红色的.
COLORS = """
red 红色
white 白色
black 黑色
blue 蓝色
green 绿色
yellow 黄色
brown 棕色
gray 灰色
pink 粉色
purple 紫色
"""

# name chinese owner
NAMES = """
Tom 汤姆 his
John 约翰 his
David 大卫 his
Mary 玛丽 her
Anna 安娜 her
Lily 莉莉 her
"""

COUNTRIES = """
China 中国
America 美国
England 英国
Japan 日本
France 法国
Germany 德国
Canada 加拿大
Russia 俄罗斯
"""

TOWNS = """
Beijing 北京
Shanghai 上海
London 伦敦
Paris 巴黎
New_York 纽约
Tokyo 东京
Hong_Kong 香港
"""

NATIONALITIES = """
Chinese 中国人
American 美国人
English 英国人
Japanese 日本人
French 法国人
German 德国人
Canadian 加拿大人
Russian 俄罗斯人
"""

LANGUAGES = """
Chinese 中文
English 英语
Japanese 日语
French 法语
German 德语
Russian 俄语
"""

SUBJECTS = """
math 数学
history 历史
science 科学
art 艺术
"""

WEEKDAYS = """
Monday 星期一
Tuesday 星期二
Wednesday 星期三
Thursday 星期四
Friday 星期五
Saturday 星期六
Sunday 星期天
"""

MONTHS = """
January 一月
February 二月
March 三月
April 四月
May 五月
June 六月
July 七月
August 八月
September 九月
October 十月
November 十一月
December 十二月
"""

SEASONS = """
spring 春天
summer 夏天
autumn 秋天
winter 冬天
"""

DAYS_OF_MONTH = """
first 一号
second 二号
third 三号
fourth 四号
fifth 五号
sixth 六号
seventh 七号
eighth 八号
ninth 九号
tenth 十号
"""

# Numerals from two on; "two" is 两 before a measure word and 二 inside other numbers.
COUNTS = """
two 两
three 三
four 四
five 五
six 六
seven 七
eight 八
nine 九
ten 十
"""

HOURS = """
one 一
two 两
three 三
four 四
five 五
six 六
seven 七
eight 八
nine 九
ten 十
eleven 十一
twelve 十二
"""

# The age of one's elders.
TENS = """
thirty 三十
forty 四十
fifty 五十
sixty 六十
seventy 七十
eighty 八十
ninety 九十
"""

# Ages and prices.
AMOUNTS = """
five 五
six 六
seven 七
eight 八
nine 九
ten 十
eleven 十一
twelve 十二
thirteen 十三
fourteen 十四
fifteen 十五
sixteen 十六
seventeen 十七
eighteen 十八
nineteen 十九
twenty 二十
thirty 三十
forty 四十
fifty 五十
sixty 六十
seventy 七十
eighty 八十
ninety 九十
"""


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables that are sets."""
    return frozenset(text.split())


# What the determiner of a slot may be; see `constructions.py`.
DETERMINERS = word_set(
    "a the this that these those own my your obj def many num some cup which howmany role lone sole bare plural"
)

IRREGULAR = {
    # base: (past, participle)
    "be": ("was", "been"),
    "have": ("had", "had"),
    "do": ("did", "done"),
    "go": ("went", "gone"),
    "come": ("came", "come"),
    "eat": ("ate", "eaten"),
    "drink": ("drank", "drunk"),
    "read": ("read", "read"),
    "write": ("wrote", "written"),
    "see": ("saw", "seen"),
    "hear": ("heard", "heard"),
    "buy": ("bought", "bought"),
    "sell": ("sold", "sold"),
    "bring": ("brought", "brought"),
    "think": ("thought", "thought"),
    "teach": ("taught", "taught"),
    "find": ("found", "found"),
    "lose": ("lost", "lost"),
    "give": ("gave", "given"),
    "send": ("sent", "sent"),
    "lend": ("lent", "lent"),
    "take": ("took", "taken"),
    "make": ("made", "made"),
    "meet": ("met", "met"),
    "know": ("knew", "known"),
    "say": ("said", "said"),
    "tell": ("told", "told"),
    "speak": ("spoke", "spoken"),
    "sing": ("sang", "sung"),
    "swim": ("swam", "swum"),
    "run": ("ran", "run"),
    "sleep": ("slept", "slept"),
    "get": ("got", "got"),
    "drive": ("drove", "driven"),
    "ride": ("rode", "ridden"),
    "fly": ("flew", "flown"),
    "wear": ("wore", "worn"),
    "draw": ("drew", "drawn"),
    "feed": ("fed", "fed"),
    "put": ("put", "put"),
    "leave": ("left", "left"),
    "sit": ("sat", "sat"),
    "stand": ("stood", "stood"),
    "break": ("broke", "broken"),
    "forget": ("forgot", "forgotten"),
    "understand": ("understood", "understood"),
    "steal": ("stole", "stolen"),
    "cost": ("cost", "cost"),
}

DOUBLING = word_set("swim run get put sit shop stop forget big hot fat thin sad")
# Compared with "more" and "most".
MORE = word_set(
    """
tired bored worried excited nervous polite famous honest popular beautiful handsome expensive comfortable useful
interesting boring difficult important delicious
"""
)
# Words whose first sound is not what their first letter says.
AN_BEFORE = ("a", "e", "i", "o", "u")
A_BEFORE = ("useful", "university")
AN_ALSO = ("hour", "honest")


# Words that a sentence may well contain twice.
REPEATABLE = word_set(
    """
I you he she it we they me him her us them my your his our their its the a an this that these those some and or but
of to in on at for with from by than as if so not be am is are was were been do does did have has had will would can
should must more much very too , . ? ! what who o'clock one going there here
"""
)


def plural(noun: str) -> str:
    """The regular plural of an English noun."""
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def inflect(verb: str, form: str) -> str:
    """One form of an English verb; ``form`` is base, s (third person singular), past, done (participle) or ing."""
    if form == "base":
        return verb
    if form == "s":
        irregular = {"be": "is", "have": "has", "do": "does", "go": "goes"}
        return irregular.get(verb) or plural(verb)
    if form in ("past", "done") and verb in IRREGULAR:
        return IRREGULAR[verb][form == "done"]
    stem = verb + verb[-1] if verb in DOUBLING else verb
    if form == "ing":
        return stem[:-1] + "ing" if stem.endswith("e") and not stem.endswith(("ee", "be")) else stem + "ing"
    if stem.endswith("e"):
        return stem + "d"
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return stem[:-1] + "ied"
    return stem + "ed"


def compare(adjective: str, form: str) -> tuple[str, ...]:
    """The comparative (``er``) or superlative (``est``) of an English adjective, as one or two words."""
    irregular = {"good": ("better", "best"), "far": ("farther", "farthest"), "well": ("better", "best")}
    if adjective in irregular:
        return (irregular[adjective][form == "est"],)
    if adjective in MORE:
        return ("most" if form == "est" else "more", adjective)
    stem = adjective + adjective[-1] if adjective in DOUBLING else adjective
    if stem.endswith("y") and stem[-2] not in "aeiou":
        stem = stem[:-1] + "i"
    return (stem.removesuffix("e") + form,)


def article(following: str) -> str:
    """A or an, by the word that follows."""
    if following in AN_ALSO or (following.lower().startswith(AN_BEFORE) and following not in A_BEFORE):
        return "an"
    return "a"


def lines(table: str) -> list[list[str]]:
    """The rows of a table, split at spaces; empty rows are left out."""
    return [row.split() for row in table.splitlines() if row.strip()]


def read_nouns() -> dict[str, list[Noun]]:
    """Nouns by class."""
    classes: dict[str, list[Noun]] = {}
    for english, chinese, measure, *tags in lines(NOUNS):
        singular, _, given = english.partition("/")
        many = {"": plural(singular), "-": ""}.get(given, given)
        unit, _, container = measure.partition(":")
        for tag in tags:
            noun = Noun(singular.strip("-"), many, chinese, unit.strip("-"), container, tag.endswith("!"))
            classes.setdefault(tag.rstrip("!"), []).append(noun)
    return classes


def read_adjectives() -> dict[str, list[Adjective]]:
    """Adjectives by class."""
    classes: dict[str, list[Adjective]] = {}
    for english, chinese, before, *tags in lines(ADJECTIVES):
        adjective = Adjective(english, chinese, {"-": "", "+的": chinese + " 的"}.get(before, before))
        for tag in tags:
            classes.setdefault(tag, []).append(adjective)
    return classes


def read_words(table: str) -> list[list[str]]:
    """Rows of a two-column table: English (an underscore joins the words of one name) and Chinese."""
    return [[row[0].replace("_", " "), *row[1:]] for row in lines(table)]
