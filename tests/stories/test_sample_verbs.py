"""Verb forms of both languages against expectations written by hand, for every irregular verb."""

from __future__ import annotations

import pytest

from semilla.errors import InternalError
from semilla.stories.english import English
from semilla.stories.spanish import Spanish
from semilla.stories.spanish_verbs import PERSONS, attach_clitics, conjugate
from semilla.stories.stories import load_library

ENGLISH = """
be was been being is, bend bent bent bending bends, bring brought brought bringing brings, build built built building builds,
buy bought bought buying buys, catch caught caught catching catches, come came come coming comes, dig dug dug digging digs,
do did done doing does, draw drew drawn drawing draws, eat ate eaten eating eats, fall fell fallen falling falls,
feed fed fed feeding feeds, find found found finding finds, fly flew flown flying flies, forget forgot forgotten forgetting forgets,
get got got getting gets, give gave given giving gives, go went gone going goes, grow grew grown growing grows,
hang hung hung hanging hangs, have had had having has, hear heard heard hearing hears, hide hid hidden hiding hides,
hold held held holding holds, keep kept kept keeping keeps, knit knitted knitted knitting knits, know knew known knowing knows,
lie lay lain lying lies, make made made making makes, read read read reading reads, ride rode ridden riding rides,
run ran run running runs, say said said saying says, see saw seen seeing sees, set set set setting sets,
sing sang sung singing sings, sleep slept slept sleeping sleeps, sweep swept swept sweeping sweeps, swim swam swum swimming swims,
take took taken taking takes, tell told told telling tells, think thought thought thinking thinks, throw threw thrown throwing throws,
tie tied tied tying ties, wear wore worn wearing wears, write wrote written writing writes,
walk walked walked walking walks, dance danced danced dancing dances, skip skipped skipped skipping skips,
tidy tidied tidied tidying tidies, play played played playing plays, watch watched watched watching watches,
row rowed rowed rowing rows, juggle juggled juggled juggling juggles, listen listened listened listening listens,
peel peeled peeled peeling peels, hug hugged hugged hugging hugs, fix fixed fixed fixing fixes,
beat beat beaten beating beats, bite bit bitten biting bites, blow blew blown blowing blows, break broke broken breaking breaks,
choose chose chosen choosing chooses, creep crept crept creeping creeps, cut cut cut cutting cuts, deal dealt dealt dealing
deals, drink drank drunk drinking drinks, forgive forgave forgiven forgiving forgives, freeze froze frozen freezing freezes,
grind ground ground grinding grinds, hit hit hit hitting hits, label labelled labelled labelling labels, lay laid laid laying
lays, leave left left leaving leaves, lend lent lent lending lends, light lit lit lighting lights, lose lost lost losing loses,
model modelled modelled modelling models, mow mowed mown mowing mows, pay paid paid paying pays, quarrel quarrelled quarrelled
quarrelling quarrels, ring rang rung ringing rings, rise rose risen rising rises, saw sawed sawn sawing saws, sell sold sold
selling sells, send sent sent sending sends, sew sewed sewn sewing sews, shake shook shaken shaking shakes, shear sheared shorn
shearing shears, shovel shovelled shovelled shovelling shovels, show showed shown showing shows, shut shut shut shutting shuts,
slide slid slid sliding slides, sow sowed sown sowing sows, speak spoke spoken speaking speaks, spend spent spent spending
spends, spin spun spun spinning spins, spread spread spread spreading spreads, stand stood stood standing stands, steal stole
stolen stealing steals, stick stuck stuck sticking sticks, stride strode stridden striding strides, swing swung swung swinging
swings, teach taught taught teaching teaches, tear tore torn tearing tears, travel travelled travelled travelling travels, undo
undid undone undoing undoes, untie untied untied untying unties, unwrap unwrapped unwrapped unwrapping unwraps, wake woke woken
waking wakes, weave wove woven weaving weaves, win won won winning wins, wind wound wound winding winds, wring wrung wrung
wringing wrings
"""  # noqa: E501
"""Base, past, participle, -ing, third person."""

SPANISH = """
abrir part abierto, andar pret3s anduvo, caber pres1s quepo, caber pret3p cupieron, caber fut3s cabrá, caer pres1s caigo,
caer pret3s cayó, caer ger cayendo, caer part caído, cerrar pres3s cierra, cerrar subj1p cerremos, colgar pret1s colgué,
colgar subj3s cuelgue, comenzar pret1s comencé, comenzar subj3p comiencen, conocer pres1s conozco, conocer subj2s conozcas,
construir pres3s construye, construir pret3s construyó, construir ger construyendo, construir subj3s construya,
contar pres3p cuentan, contar pret1p contamos, crecer pres1s crezco, crecer pret3p crecieron, dar pres1s doy, dar pret3p dieron,
dar subj3s dé, decir pres1s digo, decir pret3p dijeron, decir fut1s diré, decir imper2s di, decir ger diciendo, decir part dicho,
decir subj3p digan, despertar pres1s despierto, doler pres3s duele, dormir pres3s duerme, dormir pret3s durmió, dormir ger durmiendo,
dormir subj1p durmamos, empezar pres1p empezamos, empezar pret1s empecé, encender pres3s enciende, encontrar subj3s encuentre,
escribir part escrito, estar pres1s estoy, estar pres2s estás, estar pret3p estuvieron, estar subj3s esté, estar imp1p estábamos,
hacer pres1s hago, hacer pret3s hizo, hacer fut3p harán, hacer imper2s haz, hacer imper3s haga, hacer part hecho, ir pres3p van,
ir pret3s fue, ir imp1p íbamos, ir subj1s vaya, ir ger yendo, ir imper2s ve, ir fut2s irás, jugar pres3s juega, jugar pret1s jugué,
jugar subj3p jueguen, morir pret3s murió, morir part muerto, mover pres1s muevo, nevar pres3s nieva, oír pres1s oigo, oír pres3s oye,
oír pret3p oyeron, oír ger oyendo, oír fut3s oirá, oír part oído, oír subj3s oiga, pedir pres3s pide, pedir pret3p pidieron,
pedir subj1p pidamos, pensar imper2s piensa, perder pres1s pierdo, poder pres3s puede, poder pret3s pudo, poder fut1p podremos,
poder ger pudiendo, poner pres1s pongo, poner pret1p pusimos, poner imper2s pon, poner part puesto, poner cond3s pondría,
querer pres3s quiere, querer pret3s quiso, querer fut3s querrá, recordar pres2s recuerdas, regar pres3s riega, regar pret1s regué,
reír pres3s ríe, reír pret3s rió, reír ger riendo, reír part reído, reír fut3s reirá, repetir pres3s repite, repetir ger repitiendo,
resolver part resuelto, resolver pres1s resuelvo, rodar pres3s rueda, romper part roto, saber pres1s sé, saber subj3s sepa,
saber pret3p supieron, saber fut2s sabrás, salir pres1s salgo, salir fut3s saldrá, salir imper2s sal, seguir pres1s sigo,
seguir pres3s sigue, seguir pret3s siguió, seguir subj3s siga, sentar pres3s sienta, sentir pret3s sintió, sentir ger sintiendo,
ser pres3s es, ser imp3p eran, ser pret3s fue, ser subj3s sea, ser imper2s sé, ser part sido, servir pres3s sirve, sonar pres3s suena,
sonreír pret3s sonrió, sonreír pres1s sonrío, sonreír subj1p sonriamos, soñar pres3s sueña, tender pres3s tiende, tener pres1s tengo,
tener pres3s tiene, tener pret3p tuvieron, tener fut3s tendrá, tener imper2s ten, tener subj3s tenga, traer pret3p trajeron,
traer ger trayendo, traer part traído, venir pres3s viene, venir pret1s vine, venir ger viniendo, venir imper2s ven, ver pres1s veo,
ver imp3s veía, ver pret3s vio, ver part visto, ver subj1p veamos, volar pres3p vuelan, volver part vuelto, volver pres3s vuelve,
zambullir pret3s zambulló, zambullir ger zambullendo,
cantar pret3s cantó, cantar imp1p cantábamos, cantar subj3s cante, comer pret3p comieron, comer imp3s comía, comer subj1p comamos,
vivir pres1p vivimos, vivir pret1s viví, buscar pret1s busqué, buscar subj3p busquen, llegar pret1s llegué, cruzar subj1s cruce,
dirigir pres1s dirijo, leer pret3s leyó, leer part leído, leer ger leyendo, creer pret1p creímos, hablar fut1p hablaremos,
hablar cond2s hablarías, mirar imper3s mire, mirar imper1p miremos, esconderse pres1s me escondo, esconderse pret3p se escondieron,
esconderse ger escondiéndose, esconderse imper2s escóndete, esconderse imper1p escondámonos, esconderse part escondido,
tumbarse fut1p nos tumbaremos,
acertar pres3s acierta, acertar subj1p acertemos, acertar pret3s acertó, actuar pres3s actúa, actuar subj1p actuemos, actuar
pret3s actuó, agradecer pres1s agradezco, agradecer subj2s agradezcas, alentar pres3s alienta, alentar subj1p alentemos, alentar
pret3s alentó, asentir pres3s asiente, asentir subj1p asintamos, asentir pret3s asintió, atravesar pres3s atraviesa, atravesar
subj1p atravesemos, atravesar pret3s atravesó, aullar pres3s aúlla, aullar subj1p aullemos, aullar pret3s aulló, calentar pres3s
calienta, calentar subj1p calentemos, calentar pret3s calentó, componer pres1s compongo, componer subj2s compongas, componer
pret1s compuse, componer pret3s compuso, componer pret3p compusieron, componer fut1s compondré, componer part compuesto,
componer imper2s compón, consolar pres3s consuela, consolar subj1p consolemos, consolar pret3s consoló, corregir pres3s corrige,
corregir subj1p corrijamos, corregir pret3s corrigió, defender pres3s defiende, defender subj1p defendamos, defender pret3s
defendió, derretir pres3s derrite, derretir subj1p derritamos, derretir pret3s derritió, descender pres3s desciende, descender
subj1p descendamos, descender pret3s descendió, describir part descrito, descubrir part descubierto, desenvolver pres3s
desenvuelve, desenvolver subj1p desenvolvamos, desenvolver pret3s desenvolvió, desenvolver part desenvuelto, deshacer pres1s
deshago, deshacer subj2s deshagas, deshacer pret1s deshice, deshacer pret3s deshizo, deshacer pret3p deshicieron, deshacer fut1s
desharé, deshacer part deshecho, deshacer imper2s deshaz, desherbar pres3s deshierba, desherbar subj1p desherbemos, desherbar
pret3s desherbó, elegir pres3s elige, elegir subj1p elijamos, elegir pret3s eligió, enfriar pres3s enfría, enfriar subj1p
enfriemos, enfriar pret3s enfrió, enterrar pres3s entierra, enterrar subj1p enterremos, enterrar pret3s enterró, entretener
pres3s entretiene, entretener subj1p entretengamos, entretener pret3s entretuvo, entretener pres1s entretengo, entretener subj2s
entretengas, entretener pret1s entretuve, entretener pret3p entretuvieron, entretener fut1s entretendré, entretener imper2s
entretén, enviar pres3s envía, enviar subj1p enviemos, enviar pret3s envió, envolver pres3s envuelve, envolver subj1p
envolvamos, envolver pret3s envolvió, envolver part envuelto, esquiar pres3s esquía, esquiar subj1p esquiemos, esquiar pret3s
esquió, fotografiar pres3s fotografía, fotografiar subj1p fotografiemos, fotografiar pret3s fotografió, fregar pres3s friega,
fregar subj1p freguemos, fregar pret3s fregó, freír pret1s freí, freír pret3s frió, freír pret3p frieron, freír part frito,
freír ger friendo, gobernar pres3s gobierna, gobernar subj1p gobernemos, gobernar pret3s gobernó, gruñir pret1s gruñí, gruñir
pret3s gruñó, gruñir pret3p gruñeron, gruñir ger gruñendo, hervir pres3s hierve, hervir subj1p hirvamos, hervir pret3s hirvió,
imprimir part impreso, medir pres3s mide, medir subj1p midamos, medir pret3s midió, merendar pres3s merienda, merendar subj1p
merendemos, merendar pret3s merendó, moler pres3s muele, moler subj1p molamos, moler pret3s molió, morder pres3s muerde, morder
subj1p mordamos, morder pret3s mordió, mostrar pres3s muestra, mostrar subj1p mostremos, mostrar pret3s mostró, negar pres3s
niega, negar subj1p neguemos, negar pret3s negó, obedecer pres1s obedezco, obedecer subj2s obedezcas, ofrecer pres1s ofrezco,
ofrecer subj2s ofrezcas, oler pres3s huele, oler subj1p olamos, oler pret3s olió, perseguir pres3s persigue, perseguir subj1p
persigamos, perseguir pret3s persiguió, plegar pres3s pliega, plegar subj1p pleguemos, plegar pret3s plegó, probar pres3s
prueba, probar subj1p probemos, probar pret3s probó, proponer pres1s propongo, proponer subj2s propongas, proponer pret1s
propuse, proponer pret3s propuso, proponer pret3p propusieron, proponer fut1s propondré, proponer part propuesto, proponer
imper2s propón, reconocer pres1s reconozco, reconocer subj2s reconozcas, remendar pres3s remienda, remendar subj1p remendemos,
remendar pret3s remendó, remover pres3s remueve, remover subj1p removamos, remover pret3s removió, reñir pres3s riñe, reñir
subj1p riñamos, reñir pret3s riñó, reñir pret1s reñí, reñir pret3p riñeron, reñir ger riñendo, retorcer pres3s retuerce,
retorcer subj1p retorzamos, retorcer pret3s retorció, revolver pres3s revuelve, revolver subj1p revolvamos, revolver pret3s
revolvió, revolver part revuelto, segar pres3s siega, segar subj1p seguemos, segar pret3s segó, sembrar pres3s siembra, sembrar
subj1p sembremos, sembrar pret3s sembró, serrar pres3s sierra, serrar subj1p serremos, serrar pret3s serró, temblar pres3s
tiembla, temblar subj1p temblemos, temblar pret3s tembló, torcer pres3s tuerce, torcer subj1p torzamos, torcer pret3s torció,
tostar pres3s tuesta, tostar subj1p tostemos, tostar pret3s tostó, traducir pres1s traduzco, traducir subj2s traduzcas, traducir
pret1s traduje, traducir pret3s tradujo, traducir pret3p tradujeron, tropezar pres3s tropieza, tropezar subj1p tropecemos,
tropezar pret3s tropezó, vaciar pres3s vacía, vaciar subj1p vaciemos, vaciar pret3s vació, verter pres3s vierte, verter subj1p
vertamos, verter pret3s vertió, vestir pres3s viste, vestir subj1p vistamos, vestir pret3s vistió
"""  # noqa: E501
"""Infinitive, form, the form itself."""

FORMS = [tense + person for tense in ("pres", "imp", "pret", "fut", "cond", "subj") for person in PERSONS]
FORMS += ["inf", "ger", "part", "imper2s", "imper3s", "imper1p", "imper3p"]


def split_rows(table: str) -> list[list[str]]:
    return [row.split() for row in table.replace("\n", " ").split(",")]


@pytest.fixture(scope="module")
def english() -> English:
    return English(load_library().lexicon.irregular_verbs["en"])


@pytest.fixture(scope="module")
def spanish() -> Spanish:
    return Spanish(load_library().lexicon.irregular_verbs["es"])


@pytest.mark.parametrize("row", split_rows(ENGLISH), ids=lambda row: row[0])
def test_english_verbs_have_the_expected_forms(english: English, row: list[str]) -> None:
    """Past, participle, -ing and third person of irregular and regular verbs."""
    forms = [english.conjugate(row[0], form) for form in ("past", "participle", "ing", "third")]
    assert forms == row[1:]


@pytest.mark.parametrize("row", split_rows(SPANISH), ids=lambda row: "-".join(row[:2]))
def test_spanish_verbs_have_the_expected_forms(spanish: Spanish, row: list[str]) -> None:
    """Tenses and persons of irregular and regular verbs."""
    assert spanish.conjugate(row[0], row[1]) == " ".join(row[2:])


def test_every_irregular_verb_has_an_expectation() -> None:
    """A verb added to irregular_verbs.toml needs a row in this file."""
    irregular = load_library().lexicon.irregular_verbs
    assert {row[0] for row in split_rows(ENGLISH)} >= set(irregular["en"])
    assert {row[0] for row in split_rows(SPANISH)} >= set(irregular["es"])


def test_every_verb_of_the_lexicon_has_all_its_forms(english: English, spanish: Spanish) -> None:
    """No verb or verb phrase fails in any tense or person, and its complement stays."""
    verbs = [entry for entry in load_library().lexicon.entries if entry.terms["en"].part == "verb"]
    assert len(verbs) > 60
    for verb in verbs:
        for form in ("base", "third", "past", "participle", "ing"):
            text = verb.terms["en"].text
            assert english.conjugate(text, form).endswith(text.partition(" ")[2])
        for form in FORMS:
            text = verb.terms["es"].text
            assert spanish.conjugate(text, form).endswith(text.partition(" ")[2])


def test_a_phrase_is_conjugated_in_its_verb(english: English, spanish: Spanish) -> None:
    """What follows the verb stays as it is."""
    assert english.conjugate("ride a bicycle", "past") == "rode a bicycle"
    assert spanish.conjugate("montar en bicicleta", "fut1p") == "montaremos en bicicleta"
    assert spanish.conjugate("zambullirse en el agua", "pret3s") == "se zambulló en el agua"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("mira", "lo"), "míralo"),
        (("da", "me", "lo"), "dámelo"),
        (("dando", "le"), "dándole"),
        (("haz", "lo"), "hazlo"),
        (("ayudar", "me"), "ayudarme"),
        (("ayudar", "me", "lo"), "ayudármelo"),
        (("siguiendo", "te"), "siguiéndote"),
        (("cuida", "los"), "cuídalos"),
    ],
)
def test_pronouns_behind_a_verb_keep_its_stress(parts: tuple[str, ...], expected: str) -> None:
    """An accent appears where the word grows longer behind the stress."""
    assert attach_clitics(*parts) == expected


@pytest.mark.parametrize("form", ["pasado", "pret2p", "pluscuam3s", ""])
def test_an_unknown_form_is_an_error(form: str) -> None:
    """Vosotros is not used, and a typing mistake does not become text."""
    with pytest.raises(InternalError, match="cantar"):
        conjugate("cantar", form, {})


def test_an_unknown_english_form_is_an_error(english: English) -> None:
    """The message names the form and the verb."""
    with pytest.raises(InternalError, match=r"pasted.*walk"):
        english.conjugate("walk", "pasted")
