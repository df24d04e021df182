"""Verb forms of both languages, compared with tables written by hand that cover every irregular verb."""

from __future__ import annotations

import pytest

from semilla.errors import InternalError
from semilla.stories.english import English
from semilla.stories.spanish import Spanish
from semilla.stories.spanish_verbs import PERSONS, attach_clitics, conjugate
from semilla.stories.stories import load_library


def read_english(table: str) -> dict[str, list[str]]:
    rows = [row.split() for row in table.split(",")]
    return {verb: forms for verb, *forms in rows}


def read_spanish(table: str) -> dict[str, dict[str, str]]:
    entries = [entry.split(":") for entry in " ".join(table.split()).split("; ")]
    return {verb: dict(row.split(" ", 1) for row in forms.strip().split(", ")) for verb, forms in entries}


ENGLISH = read_english("""
be was been being is, bend bent bent bending bends, bring brought brought bringing brings, build built built
building builds, buy bought bought buying buys, catch caught caught catching catches, come came come coming
comes, dig dug dug digging digs, do did done doing does, draw drew drawn drawing draws, eat ate eaten eating
eats, fall fell fallen falling falls, feed fed fed feeding feeds, find found found finding finds, fly flew flown
flying flies, forget forgot forgotten forgetting forgets, get got got getting gets, give gave given giving
gives, go went gone going goes, grow grew grown growing grows, hang hung hung hanging hangs, have had had having
has, hear heard heard hearing hears, hide hid hidden hiding hides, hold held held holding holds, keep kept kept
keeping keeps, knit knitted knitted knitting knits, know knew known knowing knows, lie lay lain lying lies, make
made made making makes, read read read reading reads, ride rode ridden riding rides, run ran run running runs,
say said said saying says, see saw seen seeing sees, set set set setting sets, sing sang sung singing sings,
sleep slept slept sleeping sleeps, sweep swept swept sweeping sweeps, swim swam swum swimming swims, take took
taken taking takes, tell told told telling tells, think thought thought thinking thinks, throw threw thrown
throwing throws, tie tied tied tying ties, wear wore worn wearing wears, write wrote written writing writes,
walk walked walked walking walks, dance danced danced dancing dances, skip skipped skipped skipping skips, tidy
tidied tidied tidying tidies, play played played playing plays, watch watched watched watching watches, row
rowed rowed rowing rows, juggle juggled juggled juggling juggles, listen listened listened listening listens,
peel peeled peeled peeling peels, hug hugged hugged hugging hugs, fix fixed fixed fixing fixes, beat beat beaten
beating beats, bite bit bitten biting bites, blow blew blown blowing blows, break broke broken breaking breaks,
choose chose chosen choosing chooses, creep crept crept creeping creeps, cut cut cut cutting cuts, deal dealt
dealt dealing deals, drink drank drunk drinking drinks, forgive forgave forgiven forgiving forgives, freeze
froze frozen freezing freezes, grind ground ground grinding grinds, hit hit hit hitting hits, label labelled
labelled labelling labels, lay laid laid laying lays, leave left left leaving leaves, lend lent lent lending
lends, light lit lit lighting lights, lose lost lost losing loses, model modelled modelled modelling models, mow
mowed mown mowing mows, pay paid paid paying pays, quarrel quarrelled quarrelled quarrelling quarrels, ring rang
rung ringing rings, rise rose risen rising rises, saw sawed sawn sawing saws, sell sold sold selling sells, send
sent sent sending sends, sew sewed sewn sewing sews, shake shook shaken shaking shakes, shear sheared shorn
shearing shears, shovel shovelled shovelled shovelling shovels, show showed shown showing shows, shut shut shut
shutting shuts, slide slid slid sliding slides, sow sowed sown sowing sows, speak spoke spoken speaking speaks,
spend spent spent spending spends, spin spun spun spinning spins, spread spread spread spreading spreads, stand
stood stood standing stands, steal stole stolen stealing steals, stick stuck stuck sticking sticks, stride
strode stridden striding strides, swing swung swung swinging swings, teach taught taught teaching teaches, tear
tore torn tearing tears, travel travelled travelled travelling travels, undo undid undone undoing undoes, untie
untied untied untying unties, unwrap unwrapped unwrapped unwrapping unwraps, wake woke woken waking wakes, weave
wove woven weaving weaves, win won won winning wins, wind wound wound winding winds, wring wrung wrung wringing
wrings
""")
"""Base form -> past, participle, -ing, third person."""

SPANISH = read_spanish("""
abrir: part abierto; andar: pret3s anduvo; caber: pres1s quepo, pret3p cupieron, fut3s cabrá; caer: pres1s
caigo, pret3s cayó, ger cayendo, part caído; cerrar: pres3s cierra; colgar: pret1s colgué; comenzar: pret1s
comencé; conocer: pres1s conozco; construir: pres3s construye, pret3s construyó, ger construyendo, subj3s
construya; contar: pres3p cuentan; crecer: pres1s crezco; dar: pres1s doy, pret3p dieron, subj3s dé; decir:
pres1s digo, pret3p dijeron, fut1s diré, imper2s di, ger diciendo, part dicho, subj3p digan; despertar: pres1s
despierto; doler: pres3s duele; dormir: pres3s duerme, pret3s durmió, ger durmiendo, subj1p durmamos; empezar:
pres1p empezamos, pret1s empecé; encender: pres3s enciende; encontrar: subj3s encuentre; escribir: part escrito;
estar: pres1s estoy, pres2s estás, pret3p estuvieron, subj3s esté, imp1p estábamos; hacer: pres1s hago, pret3s
hizo, fut3p harán, imper2s haz, imper3s haga, part hecho; ir: pres3p van, pret3s fue, imp1p íbamos, subj1s vaya,
ger yendo, imper2s ve, fut2s irás; jugar: pres3s juega, pret1s jugué, subj3p jueguen; morir: pret3s murió, part
muerto; mover: pres1s muevo; nevar: pres3s nieva; oír: pres1s oigo, pres3s oye, pret3p oyeron, ger oyendo, fut3s
oirá, part oído, subj3s oiga; pedir: pres3s pide; pensar: imper2s piensa; perder: pres1s pierdo; poder: pres3s
puede, pret3s pudo, fut1p podremos, ger pudiendo; poner: pres1s pongo, pret1p pusimos, imper2s pon, part puesto,
cond3s pondría; querer: pres3s quiere, pret3s quiso, fut3s querrá; recordar: pres2s recuerdas; regar: pres3s
riega, pret1s regué; reír: pres3s ríe, pret3s rio, ger riendo, part reído, fut3s reirá; repetir: pres3s repite,
ger repitiendo; resolver: part resuelto; rodar: pres3s rueda; romper: part roto; saber: pres1s sé, subj3s sepa,
pret3p supieron, fut2s sabrás; salir: pres1s salgo, fut3s saldrá, imper2s sal; seguir: pres1s sigo, pres3s
sigue, pret3s siguió, subj3s siga; sentar: pres3s sienta; sentir: pret3s sintió, ger sintiendo; ser: pres3s es,
imp3p eran, pret3s fue, subj3s sea, imper2s sé, part sido; servir: pres3s sirve; sonar: pres3s suena; sonreír:
pret3s sonrió, pres1s sonrío, subj1p sonriamos; soñar: pres3s sueña; tender: pres3s tiende; tener: pres1s tengo,
pres3s tiene, pret3p tuvieron, fut3s tendrá, imper2s ten, subj3s tenga; traer: pret3p trajeron, ger trayendo,
part traído; venir: pres3s viene, pret1s vine, ger viniendo, imper2s ven; ver: pres1s veo, imp3s veía, pret3s
vio, part visto, subj1p veamos; volar: pres3p vuelan; volver: part vuelto; zambullir: pret3s zambulló, ger
zambullendo; cantar: pret3s cantó, imp1p cantábamos, subj3s cante; comer: pret3p comieron, imp3s comía, subj1p
comamos; vivir: pres1p vivimos, pret1s viví; buscar: pret1s busqué, subj3p busquen; llegar: pret1s llegué;
cruzar: subj1s cruce; dirigir: pres1s dirijo; leer: pret3s leyó, part leído, ger leyendo; creer: pret1p creímos;
hablar: fut1p hablaremos, cond2s hablarías; mirar: imper3s mire, imper1p miremos; esconderse: pres1s me escondo,
pret3p se escondieron, ger escondiéndose, imper2s escóndete, imper1p escondámonos, part escondido; tumbarse:
fut1p nos tumbaremos; acertar: pres3s acierta, subj1p acertemos, pret3s acertó; actuar: pres3s actúa, subj1p
actuemos, pret3s actuó; agradecer: pres1s agradezco; alentar: pres3s alienta; asentir: pres3s asiente, subj1p
asintamos, pret3s asintió; atravesar: pres3s atraviesa; aullar: pres3s aúlla; calentar: pres3s calienta;
componer: pres1s compongo, subj2s compongas, pret1s compuse, pret3s compuso, pret3p compusieron, fut1s
compondré, part compuesto, imper2s compón; consolar: pres3s consuela, subj1p consolemos, pret3s consoló;
corregir: pres3s corrige; defender: pres3s defiende, subj1p defendamos, pret3s defendió; derretir: pres3s
derrite; descender: pres3s desciende; describir: part descrito; descubrir: part descubierto; desenvolver: pres3s
desenvuelve, subj1p desenvolvamos, pret3s desenvolvió, part desenvuelto; deshacer: pres1s deshago, subj2s
deshagas, pret1s deshice, pret3s deshizo, pret3p deshicieron, fut1s desharé, part deshecho, imper2s deshaz;
desherbar: pres3s deshierba; elegir: pres3s elige; enfriar: pres3s enfría, subj1p enfriemos, pret3s enfrió;
enterrar: pres3s entierra; entretener: pres3s entretiene, subj1p entretengamos, pret3s entretuvo, pres1s
entretengo, subj2s entretengas, pret1s entretuve, pret3p entretuvieron, fut1s entretendré, imper2s entretén;
enviar: pres3s envía; envolver: pres3s envuelve, part envuelto; esquiar: pres3s esquía; fotografiar: pres3s
fotografía; fregar: pres3s friega; freír: pret1s freí, pret3s frió, pret3p frieron, part frito, ger friendo;
gobernar: pres3s gobierna; gruñir: pret1s gruñí, pret3s gruñó, pret3p gruñeron, ger gruñendo; hervir: pres3s
hierve; imprimir: part impreso; medir: pres3s mide; merendar: pres3s merienda; moler: pres3s muele, subj1p
molamos, pret3s molió; morder: pres3s muerde; mostrar: pres3s muestra; negar: pres3s niega; obedecer: pres1s
obedezco; ofrecer: pres1s ofrezco; oler: pres3s huele, subj1p olamos, pret3s olió; perseguir: pres3s persigue;
plegar: pres3s pliega; probar: pres3s prueba; proponer: pres1s propongo, subj2s propongas, pret1s propuse,
pret3s propuso, pret3p propusieron, fut1s propondré, part propuesto, imper2s propón; reconocer: pres1s
reconozco; remendar: pres3s remienda; remover: pres3s remueve; reñir: pres3s riñe, subj1p riñamos, pret3s riñó,
pret1s reñí, pret3p riñeron, ger riñendo; retorcer: pres3s retuerce; revolver: pres3s revuelve, part revuelto;
segar: pres3s siega; sembrar: pres3s siembra; serrar: pres3s sierra; temblar: pres3s tiembla; torcer: pres3s
tuerce; tostar: pres3s tuesta; traducir: pres1s traduzco, subj2s traduzcas, pret1s traduje, pret3s tradujo,
pret3p tradujeron; tropezar: pres3s tropieza; vaciar: pres3s vacía; verter: pres3s vierte; vestir: pres3s viste
""")
"""Infinitive -> forms. The first verb of each irregularity has several; the others have the one that shows it."""

FORMS = [tense + person for tense in ("pres", "imp", "pret", "fut", "cond", "subj") for person in PERSONS]
FORMS += ["inf", "ger", "part", "imper2s", "imper3s", "imper1p", "imper3p"]


@pytest.fixture(scope="module")
def english() -> English:
    return English(load_library().lexicon.irregular_verbs["en"])


@pytest.fixture(scope="module")
def spanish() -> Spanish:
    return Spanish(load_library().lexicon.irregular_verbs["es"])


def test_english_verbs_have_the_expected_forms(english: English) -> None:
    """Past, participle, -ing and third person of irregular and regular verbs."""
    forms = ("past", "participle", "ing", "third")
    found = {verb: [english.conjugate(verb, form) for form in forms] for verb in ENGLISH}
    assert found == ENGLISH


def test_spanish_verbs_have_the_expected_forms(spanish: Spanish) -> None:
    """Tenses and persons of irregular and regular verbs."""
    found = {
        verb: {form: spanish.conjugate(verb, form) for form in expected} for verb, expected in SPANISH.items()
    }
    assert found == SPANISH


def test_every_irregular_verb_has_an_expectation() -> None:
    """A verb added to irregular_verbs.toml needs an entry in this file."""
    irregular = load_library().lexicon.irregular_verbs
    assert ENGLISH.keys() >= set(irregular["en"])
    assert SPANISH.keys() >= set(irregular["es"])


def test_a_phrase_is_conjugated_in_its_verb(english: English, spanish: Spanish) -> None:
    """Only the verb changes; the words after it stay."""
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
def test_pronouns_after_a_verb_keep_its_stress(parts: tuple[str, ...], expected: str) -> None:
    """An accent is added where pronouns move the stress too far from the end."""
    assert attach_clitics(*parts) == expected


@pytest.mark.parametrize("form", ["pasado", "pret2p", "pluscuam3s", ""])
def test_an_unknown_form_is_an_error(form: str) -> None:
    """Vosotros is not used, and a typing mistake is an error, not text."""
    with pytest.raises(InternalError, match="cantar"):
        conjugate("cantar", form, {})


def test_an_unknown_english_form_is_an_error(english: English) -> None:
    """The message names the form and the verb."""
    with pytest.raises(InternalError, match=r"pasted.*walk"):
        english.conjugate("walk", "pasted")
