{#-
  Adds a text column for each exclusive set of flags to the contract of the model that is being built, as the
  pre-hook of it:  config(pre_hook="{{ add_exclusive_set_columns(model) }}")

  Why: an enforced contract lists its columns in YAML, which cannot loop, and a new set shall need no line there. dbt
  checks the contract and writes `create table` from the mapping `model` of the run, one and the same in hooks and in
  the materialization, and runs hooks first: a column put into it is checked and created as if YAML had it. The
  columns of YAML keep the full check; the ones added here are checked for being there and being text.
-#}
{% macro add_exclusive_set_columns(model) %}
    {%- for set in exclusive_flag_sets() if execute -%}
        {%- if set.name in model.columns -%}
            {%- do exceptions.raise_compiler_error(
                "seg_" ~ set.name ~ ": " ~ model.name ~ " has a column " ~ set.name
                ~ " of its own; give the set another name"
            ) -%}
        {%- endif -%}
        {%- do model.columns.update({set.name: {
            'name': set.name,
            'data_type': api.Column.translate_type('string'),
            'description': 'The segment of the set ' ~ set.name ~ '; null where the user is not in its population.',
            'constraints': [],
        }}) -%}
    {%- endfor -%}
{% endmacro %}

{% macro exclusive_flag_sets() %}
    {%- set sets_of_flags = segment_sets() | selectattr('kind', 'equalto', 'flags') -%}
    {{ return(sets_of_flags | selectattr('overlap', 'equalto', 'exclusive') | list) }}
{% endmacro %}
