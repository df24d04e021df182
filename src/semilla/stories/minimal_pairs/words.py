"""Looks up the words of the stories by their forms: ``roja``, ``went``, ``Nora``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

from semilla.stories import english, spanish
from semilla.stories.lexicon import Entry
from semilla.stories.minimal_pairs.mistakes import any_of
from semilla.stories.spanish_verbs import PERSONS
from semilla.stories.stories import load_library
from semilla.stories.terms import Gender, Language

_ENGLISH_VERBS = """
    add answer ask begin believe belong call carry change clap climb close cook count cry dance dare decide drop fill
    finish fit follow happen help hop hope hurry invite join jump laugh learn lift like listen live look love mend mind
    move need open paint pass pick plan plant play point promise pull push rain reach remember rest roll save seem
    share show smile spill start stay step stop talk thank touch try turn use visit wait walk want wash watch whisper
    wish wonder work yawn
""".split()  # noqa: SIM905
_SPANISH_VERBS = """
    abrazar abrir aceptar acercar acompañar ahorrar alegrar apretar aprender arreglar asomar atrapar avanzar avisar
    ayudar bajar bostezar buscar callar caminar cansar cantar cerrar compartir comprar comprender contestar correr
    cortar coser cruzar cuidar deber decidir dejar descansar descubrir desear devolver dibujar echar elegir enfadar
    enseñar entrar entregar esconder escuchar esperar exclamar explicar faltar formar girar gritar guardar guiñar
    hablar inclinar intentar invitar lanzar lavar levantar limpiar llamar llegar llenar llevar llorar mandar meter
    mirar mojar necesitar notar observar ocurrir ofrecer olvidar parar parecer pasar pasear pegar pintar plantar
    preguntar preocupar preparar prestar prometer quedar recibir recoger recordar regalar regresar repartir respirar
    responder saltar saludar sacar salvar sentar señalar separar subir sujetar susurrar temblar terminar tirar tocar
    tomar trabajar usar vender visitar vivir volver
""".split()  # noqa: SIM905
"""Regular verbs that the plots contain as text; the lexicon lists the irregular ones."""
_NOT_VERBS = frozenset(
    """
    una uno unas unos para como entre sobre bajo nada casa cerca tarde mesa vino cuenta sombra contra hacia hasta fuera
    solo tan poco mucho este sal ve di ten río
    """.split()  # noqa: SIM905
)
"""Words of the stories that look like a verb form and mostly are not."""
_FINITE_TENSES = ("pres", "imp", "pret", "fut", "cond")


@dataclass(frozen=True, slots=True)
class NounForm:
    """A noun in the form in which it occurs in a text."""

    gender: Gender
    is_plural: bool
    is_animate: bool
    other_number: str
    """The plural of a singular, the singular of a plural."""


@cache
def list_names(gender: Gender | None = None) -> frozenset[str]:
    """Names in both languages, of girls or boys or both."""
    query = {"f": "girl-name", "m": "boy-name", None: "girl-name | boy-name"}[gender]
    entries = load_library().lexicon.select(query)
    return frozenset(term.text for entry in entries for term in entry.terms.values())


@cache
def match_name() -> str:
    """A pattern, without a group, that matches any name."""
    return "(?=[A-ZÁÉÍÓÚ])" + any_of(list_names())


@cache
def index_nouns(language: Language) -> Mapping[str, NounForm]:
    """Nouns by their form; a form with two readings (a word of both genders) is left out."""
    found: dict[str, NounForm | None] = {}
    for entry in _select("noun"):
        term = entry.terms[language]
        pluralise = english.pluralise if language == "en" else spanish.pluralise
        singular, plural = term.text, term.plural or pluralise(term.text)
        # Boots have no singular in the lexicon, and el lunes and los lunes are the same form.
        is_unchanging = plural == singular or (language == "es" and singular.endswith("s"))
        if term.is_plural or term.is_mass or is_unchanging:
            continue
        for form, other, is_plural in ((singular, plural, False), (plural, singular, True)):
            noun = NounForm(term.gender, is_plural, term.is_animate, other)
            found[form] = noun if found.get(form, noun) == noun else None
    return {form: noun for form, noun in found.items() if noun}


def _select(part: str) -> Iterator[Entry]:
    return (entry for entry in load_library().lexicon.entries if entry.terms["en"].part == part)


def _list_verbs(language: Language) -> list[str]:
    heads = [entry.terms[language].text.split(" ")[0] for entry in _select("verb")]
    if language == "es":
        heads = [head.removesuffix("se") for head in heads]
    typed = _ENGLISH_VERBS if language == "en" else _SPANISH_VERBS
    return list(dict.fromkeys([*heads, *load_library().lexicon.irregular_verbs[language], *typed]))


class EnglishWords:
    """What the English mistakes need to know about words."""

    @cached_property
    def verbs(self) -> dict[str, dict[str, str]]:
        """Base form -> third, past, participle."""
        grammar = english.English(load_library().lexicon.irregular_verbs["en"])
        verbs = [verb for verb in _list_verbs("en") if verb != "be"]
        forms = ("third", "past", "participle")
        return {verb: {form: grammar.conjugate(verb, form) for form in forms} for verb in verbs}

    def map_verbs(self, form: str) -> dict[str, str]:
        """Base form -> the form asked for."""
        return {verb: forms[form] for verb, forms in self.verbs.items()}

    @cached_property
    def base_of_third(self) -> dict[str, str]:
        return {forms["third"]: verb for verb, forms in self.verbs.items()}

    @cached_property
    def past_to_participle(self) -> dict[str, str]:
        """Past forms that differ from their participle: went -> gone."""
        pairs = [(forms["past"], forms["participle"]) for forms in self.verbs.values()]
        return {past: participle for past, participle in pairs if past not in {participle, "did"}}

    @cached_property
    def comparatives(self) -> dict[str, str]:
        """One-word comparatives and their adjective: bigger -> big."""
        compared = {
            english.compare(one, "er"): one for one in ("good", "bad", *self.adjectives) if " " not in one
        }
        return {comparative: word for comparative, word in compared.items() if " " not in comparative}

    @cached_property
    def long_adjectives(self) -> list[str]:
        """Adjectives that form the comparative with more."""
        return [one for one in self.adjectives if english.compare(one, "er").startswith("more ")]

    @cached_property
    def adjectives(self) -> list[str]:
        return [entry.terms["en"].text for entry in _select("adjective")]


class SpanishWords:
    """What the Spanish mistakes need to know about words."""

    @cached_property
    def grammar(self) -> spanish.Spanish:
        return spanish.Spanish(load_library().lexicon.irregular_verbs["es"])

    @cached_property
    def verbs(self) -> list[str]:
        endings = ("ar", "er", "ir", "ír")
        return [verb for verb in _list_verbs("es") if verb.endswith(endings) and verb != "ir"]

    @cached_property
    def finite_forms(self) -> dict[str, tuple[str, str, str]]:
        """Form -> verb, tense, person, for forms that are no other word of the stories."""
        found: dict[str, tuple[str, str, str]] = {}
        for verb in self.verbs:
            for tense, person in product(_FINITE_TENSES, PERSONS):
                found.setdefault(self.grammar.conjugate(verb, tense + person), (verb, tense, person))
        others = {*index_nouns("es"), *_NOT_VERBS, *self.adjective_forms}
        return {form: reading for form, reading in found.items() if form not in others}

    @cached_property
    def participles(self) -> dict[str, str]:
        """Masculine singular participle -> verb."""
        return {self.grammar.conjugate(verb, "part"): verb for verb in self.verbs}

    @cached_property
    def gerunds(self) -> frozenset[str]:
        return frozenset(self.grammar.conjugate(verb, "ger") for verb in self.verbs)

    @cached_property
    def adjective_forms(self) -> dict[str, tuple[str, Gender, bool]]:
        """Form -> masculine singular, gender, is_plural, for adjectives with four forms."""
        terms = [entry.terms["es"] for entry in _select("adjective")]
        lemmas = {term.text for term in terms if not term.is_invariable and " " not in term.text}
        return index_agreeing([lemma for lemma in lemmas if lemma.endswith("o")])

    @cached_property
    def participle_forms(self) -> dict[str, tuple[str, Gender, bool]]:
        return index_agreeing(list(self.participles))

    def change_person(self, form: str, right: str, wrong: str) -> str | None:
        """Put a finite form of the person ``right`` into the person ``wrong``; None when it has another person."""
        verb, tense, person = self.finite_forms.get(form, ("", "", ""))
        return self.grammar.conjugate(verb, tense + wrong) if person == right else None


def index_agreeing(lemmas: list[str]) -> dict[str, tuple[str, Gender, bool]]:
    """The four forms of each adjective -> masculine singular, gender, is_plural."""
    genders: tuple[Gender, Gender] = ("m", "f")
    return {
        spanish.agree(lemma, gender=gender, is_plural=is_plural): (lemma, gender, is_plural)
        for lemma, gender, is_plural in product(sorted(lemmas), genders, (False, True))
    }
