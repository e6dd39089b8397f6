{#-
  What the project itself says of its segment sets, for the marts to be made of: a list with one mapping a set, in the
  order of vars.segment_sets. Read from the SQL and the YAML of models/segments (`graph`), so that a new set or segment
  needs no other line.

    name, kind, overlap, coverage, population, objective, owner, review_by    of config.meta.segment_set
    purpose    of the same; none where the set declares none
    segments    a list: name (null for an attribute set), column, description, rationale, action, since
    node        the model as dbt knows it

  dbt has no graph while it parses: each set is then an exclusive one without segments, which is enough for the ref()
  in a loop over the sets to be seen.
-#}
{% macro segment_sets() %}
    {%- set sets = [] -%}
    {%- for name in var('segment_sets') -%}
        {%- do sets.append(
            segment_set(name) if execute else {'name': name, 'kind': 'flags', 'overlap': 'exclusive', 'segments': []}
        ) -%}
    {%- endfor -%}
    {{ return(sets) }}
{% endmacro %}

{% macro segment_set(name) %}
    {%- set node = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', 'seg_' ~ name) | first -%}
    {%- set declared = node.config.meta.get('segment_set') or {} -%}
    {%- set wanted_type = {'flags': 'boolean', 'attribute': 'string'}.get(declared.get('kind')) -%}
    {%- if not wanted_type -%}
        {%- do exceptions.raise_compiler_error(
            "_seg_" ~ name ~ ".yml: config.meta.segment_set.kind of seg_" ~ name ~ " is missing or unknown; write "
            ~ "flags or attribute"
        ) -%}
    {%- endif -%}
    {%- if declared.get('name') != name -%}
        {%- do exceptions.raise_compiler_error(
            "_seg_" ~ name ~ ".yml: config.meta.segment_set.name is '" ~ declared.get('name') ~ "'; write " ~ name
            ~ ", as in the name of the model"
        ) -%}
    {%- endif -%}

    {%- set purpose = declared.get('purpose') -%}
    {%- if 'purpose' in declared and not modules.re.fullmatch('[a-z][a-z_]*', purpose | string) -%}
        {%- do exceptions.raise_compiler_error(
            "_seg_" ~ name ~ ".yml: config.meta.segment_set.purpose is '" ~ purpose ~ "'; write one lower-case word, as "
            ~ "analytics, or leave it out"
        ) -%}
    {%- endif -%}

    {%- set segments = [] -%}
    {%- for column in node.columns.values() if column.name not in ('as_of_date', 'user_id') -%}
        {%- if (column.data_type or '') | lower == wanted_type -%}
            {%- set said = column.config.meta -%}
            {%- do segments.append({
                'name': column.name if declared.kind == 'flags' else none,
                'column': column.name,
                'description': column.description | trim,
                'rationale': said.get('rationale'),
                'action': said.get('action'),
                'since': segment_day(said.get('since'), node.name ~ '.' ~ column.name ~ ': since'),
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not segments -%}
        {%- do exceptions.raise_compiler_error(
            "_seg_" ~ name ~ ".yml: no " ~ wanted_type ~ " column of seg_" ~ name ~ " is documented under columns"
        ) -%}
    {%- endif -%}

    {%- if declared.kind == 'flags' and segments | length > 62 -%}
        {#- segment_columns(): as many as a number has places for. -#}
        {%- do exceptions.raise_compiler_error(
            "seg_" ~ name ~ " has " ~ segments | length ~ " segments; 62 is the most: make it an attribute set, or two"
        ) -%}
    {%- endif -%}

    {{ return({
        'name': name,
        'kind': declared.kind,
        'overlap': declared.get('overlap'),
        'coverage': declared.get('coverage'),
        'population': (declared.get('population') or {}).get('description'),
        'objective': declared.get('objective'),
        'owner': declared.get('owner'),
        'purpose': purpose,
        'review_by': segment_day(declared.get('review_by'), node.name ~ ': review_by'),
        'segments': segments,
        'node': node,
    }) }}
{% endmacro %}

{#- A day that YAML gives, as text; nothing for nothing. An error names where it was written, if it is no day. -#}
{% macro segment_day(value, where) %}
    {%- if value and not modules.re.fullmatch('\\d{4}-\\d{2}-\\d{2}', value | string) -%}
        {%- do exceptions.raise_compiler_error(where ~ " is '" ~ value ~ "'; write a day as 2026-06-30") -%}
    {%- endif -%}
    {{ return(value | string if value else none) }}
{% endmacro %}
