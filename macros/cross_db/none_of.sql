{#-
  Whether no row of a query has these values, which are never null: one expression, or a list of as many as the query
  has columns. DuckDB joins by them as `not in`, and not as `not exists` with expressions, before which it would collect
  all values there are. Spark is the other way round: for `not in` it sends the whole query to every process, and
  compares each row with all of it where there is more than one value, since one of them might be null.
-#}
{% macro none_of(expressions, query) -%}
    {{ return(adapter.dispatch('none_of', 'user_segments')([expressions] if expressions is string else expressions, query)) }}
{%- endmacro %}

{% macro default__none_of(expressions, query) -%}
    {{ '(' ~ expressions | join(', ') ~ ')' if expressions | length > 1 else expressions[0] }} not in ({{ query }})
{%- endmacro %}

{% macro spark__none_of(expressions, query) -%}
    {%- set names, equal = [], [] -%}
    {%- for expression in expressions -%}
        {%- do names.append('known_key_' ~ loop.index) -%}
        {%- do equal.append('known_keys.' ~ names[-1] ~ ' = ' ~ expression) -%}
    {%- endfor -%}
    not exists (
        select 1 from ({{ query }}) as known_keys({{ names | join(', ') }}) where {{ equal | join(' and ') }}
    )
{%- endmacro %}
