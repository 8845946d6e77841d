#!/usr/bin/env python3
# Makes the documents and questions of docs/results/nbce.md: bench/questions.py [SEED] > bench/questions.json
# Twelve documents about things that do not exist, each with five facts of its own among sentences that say nothing of them, and for
# each fact a question that one document answers. Everything here is made up for this purpose.
import json
import random
import sys

# name | (fact, question, answers) five times
TOPICS = {
    "Velmora": ("The town of Velmora lies where the river Ashe meets a cold inland sea.", [
        ("The old lighthouse of Velmora was built in 1783 by a shipwright who had never seen one.", "In what year was the lighthouse of Velmora built?", ["1783"]),
        ("Velmora is known above all for its smoked eel, which is sold wrapped in birch bark.", "What food is Velmora known for?", ["eel"]),
        ("Its present mayor is Henrike Solvang, a former teacher of geography.", "Who is the mayor of Velmora?", ["solvang", "henrike"]),
        ("About 4,200 people live in Velmora through the winter.", "How many people live in Velmora through the winter?", ["4,200", "4200"]),
        ("The flag of Velmora shows a white heron on a green field.", "Which bird is on the flag of Velmora?", ["heron"])]),
    "Brannock Tools": ("Brannock Tools is a family firm that has never borrowed money.", [
        ("Brannock Tools was founded by Odile Brannock in the back room of a bakery.", "Who founded Brannock Tools?", ["odile"]),
        ("The headquarters of Brannock Tools are in the city of Tessaly.", "In which city are the headquarters of Brannock Tools?", ["tessaly"]),
        ("The firm's best known product is a folding saw that fits into a coat pocket.", "What is the best known product of Brannock Tools?", ["saw"]),
        ("Brannock Tools employs 317 people, most of whom walk to work.", "How many people does Brannock Tools employ?", ["317"]),
        ("Every tool of Brannock Tools carries a small mark in the shape of an acorn.", "What shape is the mark on every tool of Brannock Tools?", ["acorn"])]),
    "Captain Irsa Dovel": ("Captain Irsa Dovel sailed farther than anyone of her time and wrote about little of it.", [
        ("Captain Irsa Dovel was born in the fishing village of Korrin.", "In which village was Captain Irsa Dovel born?", ["korrin"]),
        ("Her ship, the Patient Margaret, had two masts and leaked all its life.", "What was the name of Captain Irsa Dovel's ship?", ["patient margaret", "margaret"]),
        ("On her voyages Captain Dovel kept a grey parrot called Bishop.", "What was the name of Captain Irsa Dovel's parrot?", ["bishop"]),
        ("Captain Dovel lost a finger to frostbite in 1841.", "In what year did Captain Irsa Dovel lose a finger?", ["1841"]),
        ("In old age Captain Dovel grew prize pumpkins and spoke to no reporters.", "What did Captain Irsa Dovel grow in old age?", ["pumpkin"])]),
    "The Halden Library": ("The Halden Library stands on a hill, and every reader arrives out of breath.", [
        ("The Halden Library owns 86,000 books, not counting the maps.", "How many books does the Halden Library own?", ["86,000", "86000"]),
        ("Its architect was Teodor Wym, who designed nothing else.", "Who was the architect of the Halden Library?", ["wym", "teodor"]),
        ("The reading room of the Halden Library has a ceiling painted deep blue.", "What colour is the ceiling of the reading room of the Halden Library?", ["blue"]),
        ("The Halden Library is closed on Thursdays, by a custom that nobody can explain.", "On which day is the Halden Library closed?", ["thursday"]),
        ("Its greatest treasure is a cookbook written by a monk in a kind of code.", "What is the greatest treasure of the Halden Library?", ["cookbook", "cook book"])]),
    "The Quorry Railway": ("The Quorry Railway crosses the moor on a single track.", [
        ("The Quorry Railway is 58 kilometres long from end to end.", "How long is the Quorry Railway, in kilometres?", ["58"]),
        ("It was built to carry slate from the quarries to the coast.", "What was the Quorry Railway built to carry?", ["slate"]),
        ("Its oldest engine is called Little Duchess and still runs in summer.", "What is the oldest engine of the Quorry Railway called?", ["duchess"]),
        ("The highest station of the Quorry Railway is Mossgate.", "What is the highest station of the Quorry Railway?", ["mossgate"]),
        ("The carriages of the Quorry Railway are painted yellow so that they can be found in fog.", "What colour are the carriages of the Quorry Railway?", ["yellow"])]),
    "Professor Lune Abara": ("Professor Lune Abara has spent her life in laboratories and does not regret it.", [
        ("Professor Lune Abara studies the hearing of moths.", "What animals does Professor Lune Abara study?", ["moth"]),
        ("Professor Abara teaches at the University of Cassel Bay.", "At which university does Professor Lune Abara teach?", ["cassel"]),
        ("Professor Abara was awarded the Tilden Medal for her work.", "Which medal was Professor Lune Abara awarded?", ["tilden"]),
        ("In her free time Professor Abara plays the cello, badly and with joy.", "Which instrument does Professor Lune Abara play?", ["cello"]),
        ("Professor Abara's assistant is a young man named Pim Okoro.", "Who is the assistant of Professor Lune Abara?", ["pim", "okoro"])]),
    "The Festival of Lanterns in Ostrel": ("The Festival of Lanterns in Ostrel is older than the town's walls.", [
        ("The festival in Ostrel is held every year in October.", "In which month is the festival in Ostrel held?", ["october"]),
        ("The festival in Ostrel lasts nine nights.", "How many nights does the festival in Ostrel last?", ["nine", " 9"]),
        ("Its lanterns are made of dried gourds.", "What are the lanterns of the festival in Ostrel made of?", ["gourd"]),
        ("On the last night of the festival the people of Ostrel eat a soup of chestnuts.", "Which soup is eaten on the last night of the festival in Ostrel?", ["chestnut"]),
        ("The procession in Ostrel is always led by the oldest blacksmith.", "Who leads the procession of the festival in Ostrel?", ["blacksmith"])]),
    "The Tamsin Observatory": ("The Tamsin Observatory was put on its mountain against all advice.", [
        ("The Tamsin Observatory stands on Mount Eldin.", "On which mountain does the Tamsin Observatory stand?", ["eldin"]),
        ("The main telescope of the Tamsin Observatory has a mirror of three metres.", "How wide is the mirror of the main telescope of the Tamsin Observatory?", ["three", "3 m", "3-m"]),
        ("In 1967 the astronomers there discovered a comet.", "What did the astronomers of the Tamsin Observatory discover in 1967?", ["comet"]),
        ("Supplies reach the Tamsin Observatory by mule.", "How do supplies reach the Tamsin Observatory?", ["mule"]),
        ("The director of the Tamsin Observatory is Gustav Renn.", "Who is the director of the Tamsin Observatory?", ["renn", "gustav"])]),
    "Fennimore Orchard": ("Fennimore Orchard covers a south slope and half of the valley below.", [
        ("Fennimore Orchard grows mostly pears.", "What fruit does Fennimore Orchard mostly grow?", ["pear"]),
        ("The orchard was planted by two sisters, Ada and Ruth Fennimore, in 1902.", "In what year was Fennimore Orchard planted?", ["1902"]),
        ("Its worst enemy is a beetle, which came in with a load of timber.", "What is the worst enemy of Fennimore Orchard?", ["beetle"]),
        ("Fennimore Orchard is guarded by geese.", "Which animals guard Fennimore Orchard?", ["geese", "goose"]),
        ("The harvest of Fennimore Orchard is sold at the market in Dunleigh.", "Where is the harvest of Fennimore Orchard sold?", ["dunleigh"])]),
    "The Marrow Street Theatre": ("The Marrow Street Theatre has burned down twice and was rebuilt each time.", [
        ("The Marrow Street Theatre has 640 seats.", "How many seats does the Marrow Street Theatre have?", ["640"]),
        ("Its first play was a comedy called The Borrowed Umbrella.", "What was the first play at the Marrow Street Theatre called?", ["umbrella"]),
        ("The curtain of the Marrow Street Theatre is made of purple velvet.", "What colour is the curtain of the Marrow Street Theatre?", ["purple"]),
        ("People say that the ghost of a violinist walks through the Marrow Street Theatre.", "Whose ghost walks through the Marrow Street Theatre?", ["violinist"]),
        ("The Marrow Street Theatre is managed by Celeste Adeyo.", "Who manages the Marrow Street Theatre?", ["adeyo", "celeste"])]),
    "The River Sorrel": ("The River Sorrel begins in a marsh and is in no hurry to leave it.", [
        ("The River Sorrel flows into Lake Andry.", "Into which lake does the River Sorrel flow?", ["andry"]),
        ("The water of the River Sorrel is brown from peat.", "What makes the water of the River Sorrel brown?", ["peat"]),
        ("The longest bridge over the River Sorrel has eleven arches.", "How many arches does the longest bridge over the River Sorrel have?", ["eleven", "11"]),
        ("Otters were brought back to the River Sorrel by a group of students.", "Which animals were brought back to the River Sorrel?", ["otter"]),
        ("The worst flood of the River Sorrel was in 1924.", "In what year was the worst flood of the River Sorrel?", ["1924"])]),
    "The Pellworth School": ("The Pellworth School was meant to last for one winter and never closed.", [
        ("The Pellworth School teaches the building of clocks.", "What does the Pellworth School teach to build?", ["clock"]),
        ("Its motto is Slowly and Once.", "What is the motto of the Pellworth School?", ["slowly"]),
        ("The Pellworth School has 72 pupils.", "How many pupils does the Pellworth School have?", ["72"]),
        ("The head of the Pellworth School is Marguerite Osei.", "Who is the head of the Pellworth School?", ["osei", "marguerite"]),
        ("The pupils of the Pellworth School wear grey scarves.", "What do the pupils of the Pellworth School wear?", ["scarves", "scarf"])]),
}
FILLER = """The road there is narrow and the last part of it is best done on foot.
Visitors are asked to bring warm clothes, for the wind comes from the north most of the {season}.
Old {people} like to say that nothing has changed, and they are nearly right.
A {adjective} wall runs along the southern side, and children sit on it in the evening.
There was once a plan to put up a hotel nearby, but the money went elsewhere.
The newspapers have written about it from time to time, rarely with any care.
Anyone who asks for directions will be given three different answers, all of them {adjective}.
In the {season} the light falls in from the side and everything seems closer than it is.
Some of the papers from the early days were lost when a cellar filled with water.
What remains has been put in order by a retired clerk with a great deal of patience.
The {people} who work there are proud of it, though they would not say so.
A local painter has made more than a hundred pictures of the place, most of them in the rain.
It is said that a good pair of shoes is worth more here than a good name.
Nobody remembers who first had the idea, and several families claim it.
The gate is opened early, and whoever comes first puts the kettle on.
For many years the accounts were kept in pencil, which the inspectors did not like.
There is a {adjective} bench from which one can see the whole valley on a clear day.
The {people} of the neighbourhood tell a long story about a lost wheelbarrow, and it gets longer.
In a hard {season} it has happened that nobody came for weeks.
Letters are answered in the order in which they arrive, and that takes a while.
Twice there was talk of selling, and twice the talk stopped as quickly as it began.
A guidebook calls it {adjective}, and the {people} have never forgiven the author.
On holidays there is music, and somebody always brings too much bread.
The roof has been mended so often that hardly a tile is original.
When the first telephone was put in, it was kept in a cupboard so that it would not disturb anyone.
The stairs are steep, and the handrail is worn smooth by many hands.
Students sometimes come to take measurements and stay for supper.
It would be wrong to call it famous, but those who know it come back.
The best time to see it is early in the {season}, before the dust.
A small fund pays for repairs, and its treasurer is known for saying no.
Much of what has been written about it was copied from one {adjective} article.
The {people} keep a list of all the storms, with remarks on each of them.
There is no shop, but things can be bought if one knows whom to ask.
Some say that the {adjective} years were the best ones, others that they are still to come.
Every few years a film is planned, and every time the weather decides against it.
The doors are low, and tall guests are warned with a bell.
It takes about an hour to see everything and a lifetime to understand it, as the {people} put it.
A dog sleeps at the entrance, and it belongs to everybody.
The heating is {adjective} and makes a sound like distant applause.
Only once was there a theft, and the thief brought everything back with an apology.
The {people} meet on the first Monday of the month and agree on very little.
A visiting poet once stayed for a week and left a single {adjective} line in the guest book.
The well is deep, and a coin dropped into it can be heard after a long while.
Those who arrive by night are given soup and no questions.
One of the windows was put in upside down, and it has stayed that way.
The {season} brings mushrooms, and with them a good deal of argument.
Whoever breaks a cup writes its date on the kitchen wall.
A {adjective} clock in the hall is kept ten minutes fast on purpose.
There are people who have driven past it all their lives and never stopped.
The key hangs on a nail, and everyone knows which nail.
In dry years the {people} carry water from below in old milk cans.
A footpath leads around it, and the second half is better than the first.
The {people} have a word for the hour just before rain, and use it often.
Most of the furniture was a gift, and some of it is {adjective}.
What is left over at the end of the year is spent on a supper.""".split("\n")
SLOTS = {"season": ["spring", "summer", "autumn", "winter"], "people": ["neighbours", "gardeners", "fishermen", "carpenters", "drivers", "cooks"],
         "adjective": ["modest", "crooked", "quiet", "splendid", "remarkable", "plain", "stubborn", "drowsy", "honest"]}


def filled(sentence):
    return sentence.format(**{name: random.choice(values) for name, values in SLOTS.items()})


def document(intro, facts):
    filler = [filled(sentence) for sentence in random.sample(FILLER, 54)]
    facts = [fact for fact, _, _ in facts]
    random.shuffle(facts)
    for n, fact in enumerate(facts):  # spread over the whole text
        share = len(filler) // len(facts)
        filler.insert(n * (share + 1) + random.randrange(share), fact)
    text = [intro] + filler
    return "\n\n".join(" ".join(text[n:n + 9]) for n in range(0, len(text), 9))


random.seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
documents = [{"name": name, "text": document(intro, facts)} for name, (intro, facts) in TOPICS.items()]
questions = [{"question": question, "answers": answers, "document": n}
             for n, (_, facts) in enumerate(TOPICS.values()) for _, question, answers in facts]
json.dump({"documents": documents, "questions": questions}, sys.stdout, indent=1)
print()
